package dispatchbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"sync"

	"github.com/buildkite/agent-stack-k8s/e2e/controlplane"
)

// profileSeconds is how long each round is profiled: less than a round takes.
const profileSeconds = 15

// profile writes what the processor does in the API server, in the dispatcher if
// there is one, and in this program, from now on, to the directory of the options.
func (r *racing) profile(ctx context.Context, name string, dispatcher *controlplane.Dispatcher) (stop func() error, err error) {
	if r.options.Profiles == "" {
		return func() error { return nil }, nil
	}
	r.profiles++
	path := func(program string) string {
		return filepath.Join(r.options.Profiles, fmt.Sprintf("cpu-%d-%s-%s.pprof", r.profiles, name, program))
	}
	own, err := os.Create(path("harness"))
	if err != nil {
		return nil, fmt.Errorf("write a profile: %w", err)
	}
	if err := pprof.StartCPUProfile(own); err != nil {
		return nil, fmt.Errorf("profile this program: %w", err)
	}
	var running sync.WaitGroup
	failures := make(chan error, 2)
	running.Go(func() {
		content, err := r.bed.Plane.Client().CoreV1().RESTClient().Get().AbsPath("/debug/pprof/profile").Param("seconds", strconv.Itoa(profileSeconds)).DoRaw(ctx)
		failures <- errors.Join(err, os.WriteFile(path("kube-apiserver"), content, 0o644))
	})
	if dispatcher != nil {
		running.Go(func() {
			failures <- saveProfile(ctx, dispatcher, fmt.Sprintf("profile?seconds=%d", profileSeconds), path("dispatcher"))
		})
	}
	return func() error {
		running.Wait()
		close(failures)
		pprof.StopCPUProfile()
		problems := []error{own.Close()}
		for failure := range failures {
			problems = append(problems, failure)
		}
		return errors.Join(problems...)
	}, nil
}

// saveProfile writes one of the dispatcher's profiles, as net/http/pprof names them, to
// a file.
func saveProfile(ctx context.Context, dispatcher *controlplane.Dispatcher, profile, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+dispatcher.Profiler+"/debug/pprof/"+profile, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("profile the dispatcher: %w", err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("profile the dispatcher: %w", err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return fmt.Errorf("write a profile: %w", err)
	}
	return nil
}
