package bench

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/patch"
	"github.com/buildkite/agent-stack-k8s/mutator/webhook"
)

// BenchmarkReview is one review, from the request to the encoded patch.
func BenchmarkReview(b *testing.B) {
	for _, shape := range Shapes {
		raw, contenders := prepare(b, shape)
		for _, contender := range contenders {
			b.Run(shape.String()+"/"+contender.Name, func(b *testing.B) {
				b.ReportAllocs()
				size := 0
				for b.Loop() {
					size = len(contender.Webhook.Handle(b.Context(), Request(raw)).Patch)
				}
				b.ReportMetric(float64(size), "patch-bytes")
			})
		}
	}
}

// BenchmarkServer is a storm of reviews at a server.
func BenchmarkServer(b *testing.B) {
	raw, contenders := prepare(b, Shape{1, 200})
	for _, contender := range contenders {
		b.Run(contender.Name, func(b *testing.B) {
			var times []time.Duration
			var last Result
			for b.Loop() {
				results, err := HTTP(b.Context(), []Contender{contender}, raw, Load{Clients: 1000, ReviewsPerClient: 1, MaxInFlight: webhook.DefaultMaxInFlight}, 1)
				if err != nil {
					b.Fatal(err)
				}
				last = results[0]
				times = append(times, last.Times...)
			}
			all := Result{Times: times}.Sorted()
			b.ReportMetric(float64(all.Percentile(.5).Microseconds()), "p50-µs")
			b.ReportMetric(float64(all.Percentile(.99).Microseconds()), "p99-µs")
			b.ReportMetric(float64(last.RequestBytes+last.ResponseBytes), "bytes/review")
		})
	}
}

func prepare(tb testing.TB, shape Shape) ([]byte, []Contender) {
	tb.Helper()
	raw, err := shape.Pod()
	if err != nil {
		tb.Fatal(err)
	}
	contenders, err := Contenders(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return raw, contenders
}

// TestContendersMakeTheSamePod holds their patches against each other: what does
// less work must not win.
func TestContendersMakeTheSamePod(t *testing.T) {
	for _, shape := range Shapes {
		t.Run(shape.String(), func(t *testing.T) {
			raw, contenders := prepare(t, shape)
			var pods []corev1.Pod
			for _, contender := range contenders {
				response := contender.Webhook.Handle(t.Context(), Request(raw))
				if !response.Allowed {
					t.Fatalf("%s: refused: %v", contender.Name, response.Result)
				}
				list := response.Patches
				if err := json.Unmarshal(response.Patch, &list); err != nil {
					t.Fatal(err)
				}
				patched, err := patch.Apply(raw, list)
				if err != nil {
					t.Fatalf("%s: %v", contender.Name, err)
				}
				var pod corev1.Pod
				if err := json.Unmarshal(patched, &pod); err != nil {
					t.Fatal(err)
				}
				pods = append(pods, pod)
			}
			for i := range pods[1:] {
				if diff := cmp.Diff(pods[0], pods[i+1]); diff != "" {
					t.Errorf("-%s +%s:\n%s", contenders[0].Name, contenders[i+1].Name, diff)
				}
			}
		})
	}
}

// TestServer sends a few reviews to servers, one of which turns some away.
func TestServer(t *testing.T) {
	raw, contenders := prepare(t, Shape{1, 20})
	results, err := HTTP(t.Context(), contenders, raw, Load{Clients: 8, ReviewsPerClient: 2, MaxInFlight: 4}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range results {
		if len(result.Times) != 16 || result.ResponseBytes == 0 {
			t.Errorf("%s: %d reviews with %d bytes, want 16 with some", result.Name, len(result.Times), result.ResponseBytes)
		}
	}
}
