package progress

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// clock is a time that moves when the test says so.
type clock struct{ time.Time }

func (c *clock) now() time.Time          { return c.Time }
func (c *clock) advance(d time.Duration) { c.Time = c.Add(d) }

func newTest(t *testing.T, buffer *bytes.Buffer, steps []Step) (*Progress, *clock) {
	t.Helper()
	c := &clock{time.Unix(1000, 0)}
	p := New(buffer, "Local cluster", steps)
	p.now = c.now
	return p, c
}

func TestProgressPrintsStepsAndRemembersTheirTimes(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	steps := []Step{{"network", 2 * time.Second}, {"control plane", 10 * time.Second}, {"node", 5 * time.Second}}
	var buffer bytes.Buffer
	p, c := newTest(t, &buffer, steps)
	p.Start("network", 0)
	c.advance(1 * time.Second)
	p.Done()
	p.Start("control plane", 0)
	c.advance(4 * time.Second)
	p.Note("waits for etcd")
	p.Done()
	p.Start("pull images", 3*time.Second) // not in the list
	c.advance(3 * time.Second)
	p.Done()
	p.Start("node", 0)
	c.advance(7 * time.Second)
	p.Done()
	want := strings.Join([]string{
		"Local cluster: 3 steps, about 17 s",
		"[1/3] network  1.0s (about 15 s left)",
		"[2/3] control plane  4.0s (about 5 s left) waits for etcd",
		"[3/4] pull images  3.0s (about 5 s left)",
		"[4/4] node  7.0s",
		"",
	}, "\n")
	if diff := cmp.Diff(want, buffer.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}

	buffer.Reset()
	p, _ = newTest(t, &buffer, steps)
	p.Start("network", 0)
	p.Done()
	want = "Local cluster: 3 steps, about 12 s\n[1/3] network  0.0s (about 11 s left)\n"
	if diff := cmp.Diff(want, buffer.String()); diff != "" {
		t.Errorf("second run (-want +got):\n%s", diff)
	}
}

func TestProgressFail(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var buffer bytes.Buffer
	p, c := newTest(t, &buffer, []Step{{"network", 2 * time.Second}})
	p.Start("network", 0)
	c.advance(1500 * time.Millisecond)
	p.Fail(errors.New("no such bridge"))
	p.Fail(errors.New("again")) // nothing runs any more
	if !strings.HasSuffix(buffer.String(), "[1/1] network  failed after 1.5s\n") {
		t.Errorf("output %q", buffer.String())
	}
	if _, err := os.Stat(timesFile("Local cluster")); err == nil {
		t.Error("the time of a failed run was remembered")
	}
}

func TestSeconds(t *testing.T) {
	cases := map[string]struct {
		duration time.Duration
		want     string
	}{
		"nothing": {0, "1 s"},
		"seconds": {12400 * time.Millisecond, "12 s"},
		"minutes": {8*time.Minute + 40*time.Second, "9 min"},
		"hours":   {65 * time.Minute * 2, "2 h 10 min"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := Seconds(tc.duration); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
