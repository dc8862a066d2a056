package controlplane

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticks per second in /proc, the same on all systems that Go runs on.
const ticks = 100

// CPU returns the processor time that the process has used.
func (p *Process) CPU() (time.Duration, error) {
	if !p.Running() {
		state := p.command.ProcessState
		return state.UserTime() + state.SystemTime(), nil
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the processor time of %s: %w", p.Name, err)
	}
	used, err := parseCPU(stat)
	if err != nil {
		return 0, fmt.Errorf("read the processor time of %s: %w", p.Name, err)
	}
	return used, nil
}

// parseCPU reads fields 14 and 15 of /proc/PID/stat; see proc(5). The second field
// is a name that may hold anything.
func parseCPU(stat []byte) (time.Duration, error) {
	const user, system = 11, 12
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= system {
		return 0, errors.New("/proc/PID/stat is too short")
	}
	var sum int64
	for _, field := range []int{user, system} {
		count, err := strconv.ParseInt(string(fields[field]), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("parse /proc/PID/stat: %w", err)
		}
		sum += count
	}
	return time.Duration(sum) * time.Second / ticks, nil
}

// PeakMemory returns the most resident memory that the process ever had, in bytes:
// VmHWM of proc(5).
func (p *Process) PeakMemory() (int64, error) { return p.memory("VmHWM:") }

// Memory returns the resident memory of the process in bytes.
func (p *Process) Memory() (int64, error) { return p.memory("VmRSS:") }

func (p *Process) memory(name string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of %s: %w", p.Name, err)
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == name {
			kibibytes, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read the memory of %s: %w", p.Name, err)
			}
			return kibibytes << 10, nil
		}
	}
	return 0, fmt.Errorf("read the memory of %s: no line %s in /proc/PID/status", p.Name, name)
}

// Files returns how many files and connections the process has open.
func (p *Process) Files() (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.command.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("count the open files of %s: %w", p.Name, err)
	}
	return len(entries), nil
}
