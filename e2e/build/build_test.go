package build

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder keeps the steps it hears of.
type recorder struct {
	mutex sync.Mutex
	steps []string
}

func (r *recorder) add(text string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.steps = append(r.steps, text)
}

func (r *recorder) Start(step string, _ time.Duration) { r.add(step) }
func (r *recorder) Note(string)                        {}
func (r *recorder) Done()                              {}
func (r *recorder) Fail(error)                         { r.add("failed") }

func build(t *testing.T, root, cache string, targets ...Group) (string, []string) {
	t.Helper()
	var heard recorder
	directory, err := Build(t.Context(), Options{Directory: root, Cache: cache, Groups: targets, Progress: &heard, Kept: 3})
	if err != nil {
		t.Fatal(err)
	}
	return directory, heard.steps
}

func run(t *testing.T, directory, program string) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), filepath.Join(directory, program)).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	return string(output)
}

func TestBuildOnlyWhatChanged(t *testing.T) {
	root, cache := checkout(t), t.TempDir()
	first, steps := build(t, root, cache, "dispatcher", "hello")
	if len(steps) == 0 || run(t, first, "dispatcher") != "hello 0.0.0" || run(t, first, "hello") != "hello" {
		t.Errorf("first build: steps %q, says %q", steps, run(t, first, "dispatcher"))
	}
	if again, steps := build(t, root, cache, "dispatcher"); again != first || len(steps) > 0 {
		t.Errorf("second build: in %s after %s, with steps %q", again, first, steps)
	}
	stamp := time.Unix(1e9, 0)
	if err := os.Chtimes(filepath.Join(first, "hello"), stamp, stamp); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "greeting/text"), "good morning")
	second, _ := build(t, root, cache, "dispatcher", "hello")
	if second == first || run(t, second, "dispatcher") != "good morning 0.0.0" {
		t.Errorf("changed build: in %s, says %q", second, run(t, second, "dispatcher"))
	}
	if info, err := os.Stat(filepath.Join(second, "hello")); err != nil || !info.ModTime().Equal(stamp) {
		t.Errorf("hello was built again, or is missing: %v", err)
	}
}

func TestBuildLinksFurtherNames(t *testing.T) {
	directory, _ := build(t, checkout(t), t.TempDir(), "kubernetes")
	if got, want := run(t, directory, "kubectl"), run(t, directory, "kubernetes"); got != want {
		t.Errorf("kubectl says %q, kubernetes %q", got, want)
	}
}

func TestBuildKeepsWhatItHasWhenTheRestFails(t *testing.T) {
	root, cache := checkout(t), t.TempDir()
	write(t, filepath.Join(root, "e2e/cmd/hello/main.go"), "package main\n\nfunc main() { undefined() }\n")
	var heard recorder
	_, err := Build(t.Context(), Options{Directory: root, Cache: cache, Groups: []Group{"dispatcher", "hello"}, Progress: &heard})
	if err == nil || !strings.Contains(err.Error(), "undefined: undefined") || !slices.Contains(heard.steps, "failed") {
		t.Fatalf("got error %v and steps %q", err, heard.steps)
	}
	left, err := filepath.Glob(filepath.Join(cache, "tmp-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q %v", left, err)
	}
	if _, steps := build(t, root, cache, "dispatcher"); len(steps) > 0 {
		t.Errorf("the program that compiled was built again: %q", steps)
	}
}

func TestBuildsAtOnceBuildOnce(t *testing.T) {
	root, cache := checkout(t), t.TempDir()
	var heard recorder
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if _, err := Build(t.Context(), Options{Directory: root, Cache: cache, Groups: []Group{"hello"}, Progress: &heard}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	compiled := slices.DeleteFunc(heard.steps, func(step string) bool { return step != compileStep })
	if len(compiled) != 1 {
		t.Errorf("compiled %d times", len(compiled))
	}
}

func TestBuildEndsWhenInterrupted(t *testing.T) {
	cache := t.TempDir()
	unlock, err := Lock(t.Context(), cache, Silence, "")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := Lock(ctx, cache, Silence, "wait"); err == nil || !strings.Contains(err.Error(), "wait for another build") {
		t.Errorf("got error %v", err)
	}
}

func TestPrune(t *testing.T) {
	root, cache := checkout(t), t.TempDir()
	var views []string
	for _, text := range []string{"a", "b", "c", "d", "e"} {
		write(t, filepath.Join(root, "greeting/text"), text)
		if text == "b" {
			// This one keeps running while others come.
			write(t, filepath.Join(root, "e2e/cmd/hello/main.go"), "package main\n\nimport \"time\"\n\nfunc main() { time.Sleep(time.Hour) }\n")
		}
		view, _ := build(t, root, cache, "dispatcher", "hello")
		views = append(views, view)
		age := time.Now().Add(time.Duration(len(views)-10) * time.Hour)
		if text == "b" {
			running := exec.CommandContext(t.Context(), filepath.Join(view, "hello"))
			if err := running.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = running.Process.Kill(); _ = running.Wait() }()
		}
		if err := os.Chtimes(view, age, age); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []bool{false, true, true, true, true} {
		if _, err := os.Stat(views[i]); (err == nil) != want {
			t.Errorf("view %d is there: %t, want %t", i, err == nil, want)
		}
	}
	stored, err := os.ReadDir(filepath.Join(cache, "programs"))
	if err != nil || len(stored) != 5 { // dispatcher b-e, the second hello
		t.Errorf("%d programs stored, want 5 (%v)", len(stored), err)
	}
}
