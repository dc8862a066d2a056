package dispatchbench

import (
	"fmt"
	"io"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/controlplane"
	"github.com/buildkite/agent-stack-k8s/e2e/testbed"
)

// usage is the processor time of each program, in seconds.
type usage map[string]float64

const harness = "this program"

// programs are the columns, in order.
var programs = []string{"dispatcher", "mutator", "kube-apiserver", "etcd", "kube-scheduler", "kwok", harness}

// usageOf reads the processor time that everything has used.
func usageOf(bed *testbed.Testbed, dispatcher *controlplane.Dispatcher) (usage, error) {
	used := usage{harness: ownTime().Seconds()}
	processes := []*controlplane.Process{bed.Plane.APIServer(), bed.Plane.Etcd(), bed.Plane.Scheduler(), bed.Plane.KWOK(), bed.Plane.Mutator()}
	if dispatcher != nil {
		processes = append(processes, dispatcher.Process)
	}
	for _, process := range processes {
		if process == nil {
			continue
		}
		time, err := process.CPU()
		if err != nil {
			return nil, err
		}
		used[process.Name] += time.Seconds()
	}
	return used, nil
}

// since returns what was used between two readings.
func (u usage) since(before usage) usage {
	difference := usage{}
	for name, seconds := range u {
		difference[name] = seconds - before[name]
	}
	return difference
}

func ownTime() time.Duration {
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return 0
	}
	return time.Duration(own.Utime.Nano() + own.Stime.Nano())
}

// printUsage prints milliseconds of processor time per job.
func printUsage(out io.Writer, rows []namedUsage) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "  CPU ms per job")
	for _, program := range programs {
		fmt.Fprintf(table, "\t%s", program)
	}
	fmt.Fprintln(table)
	for _, row := range rows {
		fmt.Fprintf(table, "  %s", row.name)
		for _, program := range programs {
			if seconds, known := row.used[program]; known {
				fmt.Fprintf(table, "\t%.2f", seconds*1000/float64(row.jobs))
			} else {
				fmt.Fprint(table, "\t-")
			}
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}

type namedUsage struct {
	name string
	used usage
	jobs int
}
