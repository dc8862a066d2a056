package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWait(t *testing.T) {
	ended := make(chan struct{})
	close(ended)
	dead := &running{daemon: daemon{name: "etcd"}, ended: ended, err: errors.New("exit status 2")}
	alive := &running{daemon: daemon{name: "kubelet"}, ended: make(chan struct{})}
	notYet := errors.New("not ready yet")
	cases := map[string]struct {
		daemons []*running
		after   int // questions until the answer is yes
		cancel  time.Duration
		want    []string // parts of the error; none: no error
	}{
		"at once":              {daemons: []*running{dead}, after: 0},
		"in a while":           {daemons: []*running{alive}, after: 20},
		"a program has ended":  {daemons: []*running{alive, dead}, after: 1000, want: []string{"wait for the node: etcd ended with exit status 2", "etcd.log"}},
		"never":                {daemons: []*running{alive}, after: 1000, want: []string{"wait for the node: not there after 10s", notYet.Error(), LogDir}},
		"the caller gives up":  {daemons: []*running{alive}, after: 1000, cancel: time.Second, want: []string{"wait for the node: context canceled"}},
		"without any programs": {after: 3},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tc.cancel > 0 {
					time.AfterFunc(tc.cancel, cancel)
				}
				asked := 0
				err := wait(ctx, 10*time.Second, "the node", tc.daemons, func(context.Context) error {
					asked++
					if asked > tc.after {
						return nil
					}
					return notYet
				})
				if (err == nil) != (len(tc.want) == 0) {
					t.Fatalf("got %v, want %q", err, tc.want)
				}
				for _, part := range tc.want {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%q does not say %q", err, part)
					}
				}
			})
		})
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("one\ntwo\n"+strings.Repeat("x", 1000)+"\n\xff\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "  two\n  " + strings.Repeat("x", 300) + "…\n  ?"
	if got := tail(path, 3); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := tail(path+"-not-there", 3); !strings.Contains(got, "no such file") {
		t.Errorf("got %q", got)
	}
}

func TestInheritCopiesOnlyWhatIsMissing(t *testing.T) {
	const setting = "cpuset.cpus"
	cases := map[string]struct{ parent, child, want string }{
		"empty":             {"0-1\n", "\n", "0-1\n"},
		"set":               {"0-3\n", "1\n", "1\n"},
		"parent has none":   {"", "\n", "\n"},
		"another hierarchy": {"", "", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			child := filepath.Join(parent, "child")
			if err := os.Mkdir(child, 0o700); err != nil {
				t.Fatal(err)
			}
			for path, content := range map[string]string{parent: tc.parent, child: tc.child} {
				if content == "" {
					continue // the controller is not here
				}
				if err := os.WriteFile(filepath.Join(path, setting), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := inherit(parent, child, setting); err != nil {
				t.Fatal(err)
			}
			got, _ := os.ReadFile(filepath.Join(child, setting))
			if string(got) != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestBuildIDTellsProgramsApart(t *testing.T) {
	own, err := buildID(os.Args[0])
	if err != nil || len(own) == 0 {
		t.Fatalf("got %q, %v", own, err)
	}
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := buildID(script); err == nil {
		t.Errorf("a script has the build ID %q", got)
	}
}
