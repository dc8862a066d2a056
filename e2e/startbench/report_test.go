package startbench

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestReport(t *testing.T) {
	runs := map[string][]Run{}
	for i, shape := range shapes() {
		for n := range 10 {
			finished := time.Duration(i+1)*time.Second + time.Duration(n)*100*time.Millisecond
			runs[shape.Name] = append(runs[shape.Name], Run{Registered: finished / 4, FirstOutput: finished / 2, Finished: finished})
		}
	}
	var out strings.Builder
	if err := report(&out, shapes(), runs); err != nil {
		t.Fatal(err)
	}
	// 1.0 to 1.9 s, and 2.0 to 2.9 s.
	_, finished, _ := strings.Cut(out.String(), "created -> finished")
	for _, want := range []string{"existing             10     1.45       1.80    1.00", "init-container       10     2.45       2.80    1.69"} {
		if !strings.Contains(finished, want) {
			t.Errorf("no line %q in\n%s", want, finished)
		}
	}
}

func TestUptimeIn(t *testing.T) {
	uptime, err := uptimeIn("~~~ Running\r\n$ cat /proc/uptime\r\n123.45 67.89\r\n")
	if err != nil || uptime != 123450*time.Millisecond {
		t.Errorf("got %v, %v", uptime, err)
	}
	if _, err := uptimeIn("nothing"); err == nil {
		t.Error("found an uptime where there is none")
	}
}

func TestPhases(t *testing.T) {
	created := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	pod := &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
		Name: "agent", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: `{"version":1,"began":"2026-11-27T12:00:00.5Z",
			"phases":{"prepared":0.01,"held":0.1,"acquired":0.15},"containers":[{"name":"checkout","started":0.1,"ended":0.3,"status":0},{"name":"container-0","started":0.05,"ended":0.4,"status":0}]}`}},
	}}}}
	phases, err := phasesOf(pod, created)
	want := Phases{500 * time.Millisecond, 600 * time.Millisecond, 650 * time.Millisecond, 800 * time.Millisecond, 900 * time.Millisecond}
	if err != nil || phases != want {
		t.Fatalf("got %+v, %v; want %+v", phases, err, want)
	}
	var out strings.Builder
	run := Run{Registered: 630 * time.Millisecond, Finished: 910 * time.Millisecond, Phases: phases}
	if err := reportPhases(&out, shapes(), map[string][]Run{"image-volume": {run}, "existing": {{}}}); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"where the time goes: image-volume", "the checkout's container is done", "0.800", "0.150", "0.910", "0.010"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no %q in\n%s", line, out.String())
		}
	}
	if strings.Contains(out.String(), "existing") {
		t.Errorf("a shape without phases has some:\n%s", out.String())
	}
}

func TestHeading(t *testing.T) {
	plain := heading(Options{Runs: 12})
	for _, want := range []string{"Command: bench-start --runs=12 (make bench-start)\n", "answer at once", "a later job"} {
		if !strings.Contains(plain, want) {
			t.Errorf("no %q in\n%s", want, plain)
		}
	}
	other := heading(Options{Runs: 3, Shapes: []string{"existing", "existing, v0.47"}, FirstJob: true, Latency: 20 * time.Millisecond})
	for _, want := range []string{
		`Command: bench-start --runs=3 --shape="existing" --shape="existing, v0.47" --first-job --latency=20ms (`, "answer after 20ms", "the first job",
	} {
		if !strings.Contains(other, want) {
			t.Errorf("no %q in\n%s", want, other)
		}
	}
}

// TestDelayed: what is measured is answered later, and what measures is not.
func TestDelayed(t *testing.T) {
	const latency = 20 * time.Millisecond
	for path, want := range map[string]time.Duration{"/v3/register": latency, "/simulator/builds": 0} {
		synctest.Test(t, func(t *testing.T) {
			answered := false
			handler := delayed(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { answered = true }), latency)
			begun := time.Now()
			handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
			if took := time.Since(begun); !answered || took != want {
				t.Errorf("%s: answered %v after %v, want %v", path, answered, took, want)
			}
		})
	}
}

// TestShapesThatAMutatorCompletes: those are asked for until their mutator is there.
func TestShapesThatAMutatorCompletes(t *testing.T) {
	var names []string
	for _, shape := range shapes() {
		if shape.injected() {
			names = append(names, shape.Name)
		}
	}
	if want := []string{"init-container", "image-volume"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}
