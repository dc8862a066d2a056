//go:build linux

package main

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

// ticks is the processor time, user and system, that a process has used.
func ticks(t *testing.T, pid int) int {
	t.Helper()
	contents, err := os.ReadFile("/proc/" + itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	stat := string(contents)
	// The second field, the name, may hold anything, but ends at the last ")".
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		t.Fatal(err)
	}
	system, err := strconv.Atoi(fields[12])
	if err != nil {
		t.Fatal(err)
	}

	return user + system
}

// children lists the ids of a process's children.
func children(t *testing.T, pid int) []string {
	t.Helper()
	threads, err := os.ReadDir("/proc/" + itoa(pid) + "/task")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, thread := range threads {
		contents, err := os.ReadFile("/proc/" + itoa(pid) + "/task/" + thread.Name() + "/children")
		if err == nil {
			all = append(all, strings.Fields(string(contents))...)
		}
	}

	return all
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	number, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}

	return number
}
