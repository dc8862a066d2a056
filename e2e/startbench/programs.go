package startbench

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// program is a process of a job: the entrypoint, the agent's program or, started by
// that, Git. Times are the kernel's monotonic clock's.
type program struct {
	line         string
	began, ended time.Duration
}

// programs records them while they run, as the kernel tells of them.
type programs struct {
	events  chan netlink.ProcEvent
	done    chan struct{}
	failed  chan error
	all     map[uint32]*program
	parents map[uint32]uint32
}

// watchPrograms begins to record. It needs root and a kernel with CONFIG_PROC_EVENTS.
func watchPrograms() (*programs, error) {
	p := &programs{
		// As many as come before each is looked at.
		events: make(chan netlink.ProcEvent, 1024), done: make(chan struct{}), failed: make(chan error, 1),
		all: map[uint32]*program{}, parents: map[uint32]uint32{},
	}
	if err := netlink.ProcEventMonitor(p.events, p.done, p.failed); err != nil {
		return nil, fmt.Errorf("watch processes: %w", err)
	}
	return p, nil
}

// record takes what has happened until the channel stop is closed, and returns the
// programs in their order.
func (p *programs) record(stop <-chan struct{}) ([]program, error) {
	defer close(p.done)
	for {
		select {
		case event := <-p.events:
			p.note(event)
		case err := <-p.failed:
			return nil, fmt.Errorf("watch processes: %w", err)
		case <-stop:
			for len(p.events) > 0 {
				p.note(<-p.events)
			}
			all := make([]program, 0, len(p.all))
			for _, one := range p.all {
				all = append(all, *one)
			}
			slices.SortFunc(all, func(a, b program) int { return cmp.Compare(a.began, b.began) })
			return all, nil
		}
	}
}

func (p *programs) note(event netlink.ProcEvent) {
	at := time.Duration(event.Timestamp)
	switch told := event.Msg.(type) {
	case *netlink.ForkProcEvent:
		if told.ChildPid == told.ChildTgid {
			p.parents[told.ChildPid] = told.ParentTgid
		}
	case *netlink.ExecProcEvent:
		contents, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(told.ProcessPid), 10) + "/cmdline")
		if err != nil {
			// It has ended already.
			return
		}
		line := lineOf(contents)
		parent := p.all[p.parents[told.ProcessPid]]
		if line != "" && (!strings.HasPrefix(line, gitProgram) || parent != nil && strings.HasPrefix(parent.line, agentProgram)) {
			p.all[told.ProcessPid] = &program{line: line, began: at}
		}
	case *netlink.ExitProcEvent:
		if one := p.all[told.ProcessPid]; one != nil && told.ProcessPid == told.ProcessTgid {
			one.ended = at
		}
	}
}

const (
	agentProgram = "buildkite-agent"
	gitProgram   = "git"
)

// subcommand is a word that says what a program does.
var subcommand = regexp.MustCompile(`^([a-z][a-z-]*|--id=\d+)$`)

// lineOf returns a program's name and the first two words that say what it does; ""
// if it is none of those that are recorded.
func lineOf(commandLine []byte) string {
	words := strings.Split(string(bytes.TrimRight(commandLine, "\x00")), "\x00")
	name := path.Base(words[0])
	if !slices.Contains([]string{"entrypoint", agentProgram, gitProgram}, name) {
		return ""
	}
	line := []string{name}
	for _, word := range words[1:] {
		if subcommand.MatchString(word) && len(line) < 3 {
			line = append(line, word)
		}
	}
	return strings.Join(line, " ")
}

// tracePrograms runs something and returns the programs that began meanwhile, with
// their times from now on.
func tracePrograms(run func() error) ([]program, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return nil, fmt.Errorf("read the clock: %w", err)
	}
	begun := time.Duration(now.Nano())
	watched, err := watchPrograms()
	if err != nil {
		return nil, err
	}
	stop, ran := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(stop)
		ran <- run()
	}()
	all, err := watched.record(stop)
	if err := errors.Join(err, <-ran); err != nil {
		return nil, err
	}
	for i := range all {
		all[i].began -= begun
		all[i].ended -= begun
	}
	return all, nil
}

// reportPrograms prints when each program of a run began and how long it was there.
func reportPrograms(out io.Writer, shape string, all []program) error {
	fmt.Fprintf(out, "\none run more, program by program: %s\n", shape)
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "  begins s\tlasts s\tprogram")
	for _, one := range all {
		lasts := "to the end"
		if one.ended > 0 {
			lasts = fmt.Sprintf("%.3f", (one.ended - one.began).Seconds())
		}
		fmt.Fprintf(table, "  %.3f\t%s\t%s\n", one.began.Seconds(), lasts, one.line)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	return nil
}
