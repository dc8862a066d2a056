package dispatchbench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/types"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/buildkite/agent-stack-k8s/e2e/controlplane"
	"github.com/buildkite/agent-stack-k8s/e2e/testbed"
)

// reading is the dispatcher's memory at a number of live pods, in bytes.
type reading struct {
	pods int
	// created is the peak once it had created them, listed after a forced relist.
	created, listed int64
	// fresh is the peak of a dispatcher that was started beside so many pods.
	fresh int64
	// lists are lists and watches from the beginning that the relist made.
	lists int
	// podBytes is the size of a pod in protobuf.
	podBytes int
}

// memory measures the most that the dispatcher ever takes.
func memory(ctx context.Context, options Options) (err error) {
	if len(options.Live) == 0 {
		return nil
	}
	bedding := bedOptions(options, lifted())
	bedding.Endless = true
	bed, err := testbed.Up(ctx, bedding)
	defer func() { err = errors.Join(err, bed.Stop()) }()
	if err != nil {
		return err
	}
	dispatcher, err := startDispatcher(ctx, bed, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dispatcher.Stop(time.Minute)) }()
	var readings []reading
	for _, live := range options.Live {
		one := reading{pods: live}
		if _, err := bed.Schedule(live - bed.Agents.SeenCount()); err != nil {
			return err
		}
		if err := bed.AwaitPods(ctx, live, patience); err != nil {
			return err
		}
		if one.created, err = dispatcher.PeakMemory(); err != nil {
			return err
		}
		if one.lists, err = relist(ctx, bed, dispatcher, options.Settle); err != nil {
			return err
		}
		if one.listed, err = dispatcher.PeakMemory(); err != nil {
			return err
		}
		if one.podBytes, err = podBytes(ctx, bed); err != nil {
			return err
		}
		if err := saveHeap(ctx, options, dispatcher, live); err != nil {
			return err
		}
		if one.fresh, err = freshPeak(ctx, bed, options); err != nil {
			return err
		}
		readings = append(readings, one)
	}
	return reportMemory(options, readings)
}

// relist has the dispatcher's watch end with "410 Gone" and returns how many lists,
// or watches from the beginning, followed.
func relist(ctx context.Context, bed *testbed.Testbed, dispatcher *controlplane.Dispatcher, settle time.Duration) (int, error) {
	before, err := lists(bed)
	if err != nil {
		return 0, err
	}
	if err := dispatcher.Signal(syscall.SIGSTOP); err != nil {
		return 0, err
	}
	resume := func() error { return dispatcher.Signal(syscall.SIGCONT) }
	if err := moveOn(ctx, bed); err != nil {
		return 0, errors.Join(err, resume())
	}
	if err := resume(); err != nil {
		return 0, err
	}
	// The list comes after the first attempts to watch have failed, and all of it is
	// taken in within seconds.
	const patience = 90 * time.Second
	for end := time.Now().Add(patience); ; {
		pause(ctx, time.Second)
		after, err := lists(bed)
		if err != nil {
			return 0, err
		}
		if after > before {
			pause(ctx, settle)
			return after - before, ctx.Err()
		}
		if time.Now().After(end) {
			return 0, fmt.Errorf("the dispatcher has not listed its pods within %s of the API server's restart", patience)
		}
	}
}

// moveOn changes a pod so that a dispatcher that is stopped cannot hear of it: the
// API server starts anew before, which ends the watch, and again after, which has
// it forget what it could have caught up with.
func moveOn(ctx context.Context, bed *testbed.Testbed) error {
	restart := func() error {
		bed.Plane.StopAPIServer()
		return bed.Plane.StartAPIServer(ctx)
	}
	if err := restart(); err != nil {
		return err
	}
	if err := touchPod(ctx, bed); err != nil {
		return err
	}
	return restart()
}

// touchPod changes a pod, so that the store's version moves on.
func touchPod(ctx context.Context, bed *testbed.Testbed) error {
	client := bed.Plane.Client().CoreV1().Pods(controlplane.JobNamespace)
	pods, err := client.List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return fmt.Errorf("find a pod: %w", err)
	}
	patch := fmt.Appendf(nil, `{"status": {"message": "touched at %s"}}`, time.Now())
	if _, err := client.Patch(ctx, pods.Items[0].Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		return fmt.Errorf("touch a pod: %w", err)
	}
	return nil
}

// lists counts the dispatcher's lists of pods, and what stands for one: a watch that
// begins with all pods.
func lists(bed *testbed.Testbed) (int, error) {
	requests, err := bed.Plane.Requests()
	if err != nil {
		return 0, err
	}
	count := 0
	for _, request := range requests {
		if request.Resource == "pods" && (request.Verb == "list" || request.Initial) {
			count++
		}
	}
	return count, nil
}

func podBytes(ctx context.Context, bed *testbed.Testbed) (int, error) {
	pods, err := bed.Plane.Client().CoreV1().Pods(controlplane.JobNamespace).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil || len(pods.Items) == 0 {
		return 0, fmt.Errorf("read a pod: %w", err)
	}
	return pods.Items[0].Size(), nil
}

// freshPeak starts another dispatcher, which finds all the pods there.
func freshPeak(ctx context.Context, bed *testbed.Testbed, options Options) (peak int64, err error) {
	// Another controller id: it looks at the pods and touches none.
	other, err := bed.StartDispatcher(controlplane.DispatcherOptions{
		Name: "another dispatcher", Executable: options.Dispatcher, Arguments: []string{"--max-in-flight=1", "--controller-id=other"},
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, other.Stop(time.Minute)) }()
	if err := other.WaitReady(ctx); err != nil {
		return 0, err
	}
	pause(ctx, options.Settle)
	return other.PeakMemory()
}

func saveHeap(ctx context.Context, options Options, dispatcher *controlplane.Dispatcher, live int) error {
	if options.Profiles == "" {
		return nil
	}
	for _, profile := range []string{"heap", "allocs"} {
		if err := saveProfile(ctx, dispatcher, profile, filepath.Join(options.Profiles, fmt.Sprintf("%s-%d.pprof", profile, live))); err != nil {
			return err
		}
	}
	return nil
}

func reportMemory(options Options, readings []reading) error {
	out := options.Out
	fmt.Fprintf(out, "\n2. Memory of the dispatcher: VmHWM, the most that it ever had, in MiB. A relist is forced by stopping it while the API\nserver starts anew, a pod changes and the API server starts anew again, so that its watch ends with 410 Gone. Fresh is another dispatcher that finds the pods when it starts.\n")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "  live pods\tbytes of a pod\tpods created\trelisted\tlists\tfresh\n")
	for _, one := range readings {
		fmt.Fprintf(table, "  %d\t%d\t%.1f\t%.1f\t%d\t%.1f\n", one.pods, one.podBytes, mebibytes(one.created), mebibytes(one.listed), one.lists, mebibytes(one.fresh))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	last := readings[len(readings)-1]
	most := max(last.listed, last.fresh)
	fmt.Fprintf(out, "Target: at most %d MiB at 10,000 pods: %s.\n", targetMemory>>20, verdict(most <= targetMemory))
	if most > targetMemory {
		return options.missed("%.1f MiB at %d pods; want %d", mebibytes(most), last.pods, targetMemory>>20)
	}
	return nil
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func pause(ctx context.Context, duration time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(duration):
	}
}
