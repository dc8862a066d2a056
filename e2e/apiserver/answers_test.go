package apiserver

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/buildkite/agent-stack-k8s/e2e/controlplane"
)

var update = flag.Bool("update", false, "record the API server's answers anew")

// recordedFile is what the dispatcher's unit tests read.
var recordedFile = filepath.Join("..", "..", "dispatcher", "testdata", "answers.json")

// patience is how long a rule may take to be in force: admission reads it from
// caches.
const patience = 30 * time.Second

// recording is the file.
type recording struct {
	// Version is the API server's.
	Version string `json:"version"`
	// Answers are by the name of what provokes them.
	Answers map[string]metav1.Status `json:"answers"`
}

// ports are different each time.
var ports = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// TestAnswers provokes each answer and compares it with the recorded one, which
// -update writes.
func TestAnswers(t *testing.T) {
	plane, err := controlplane.Up(t.Context(), controlplane.Options{Bin: bin, Manifests: manifests, AgentEndpoint: "http://127.0.0.1:1/v3"})
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	version, err := plane.Client().Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	got := recording{Version: "v" + version.Major + "." + version.Minor, Answers: map[string]metav1.Status{}}
	for name, provoke := range provocations {
		t.Run(name, func(t *testing.T) {
			stage := newStage(t, plane)
			want, again := provoke(t, stage)
			var last error
			for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				last = again(t.Context())
				var status apierrors.APIStatus
				if !errors.As(last, &status) || !strings.Contains(strings.ToLower(status.Status().Message), strings.ToLower(want)) {
					continue
				}
				answer := status.Status()
				answer.Message = ports.ReplaceAllString(answer.Message, "127.0.0.1:443")
				answer.ListMeta = metav1.ListMeta{}
				if answer.Details != nil {
					for i := range answer.Details.Causes {
						answer.Details.Causes[i].Message = ports.ReplaceAllString(answer.Details.Causes[i].Message, "127.0.0.1:443")
					}
				}
				got.Answers[name] = answer
				return
			}
			t.Errorf("the answer with %q did not come; the last was %v", want, last)
		})
	}
	if *update && !t.Failed() {
		text, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(recordedFile, append(text, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(recordedFile)
	if err != nil {
		t.Fatal(err)
	}
	var recorded recording
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(recorded, got); diff != "" {
		t.Errorf("`make record-answers` records them anew (-recorded +now):\n%s", diff)
	}
}
