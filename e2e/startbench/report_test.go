package startbench

import (
	"strings"
	"testing"
	"time"
)

func TestReport(t *testing.T) {
	runs := map[string][]Run{}
	for i, shape := range shapes() {
		for n := range 10 {
			finished := time.Duration(i+1)*time.Second + time.Duration(n)*100*time.Millisecond
			runs[shape.Name] = append(runs[shape.Name], Run{finished / 4, finished / 2, finished})
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
