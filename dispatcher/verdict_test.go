package dispatcher

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// answer is an entry of testdata/answers.yaml. Its status is in answers.json unless
// it could not be recorded.
type answer struct {
	Name     string          `json:"name"`
	Status   *metav1.Status  `json:"status"`
	Error    string          `json:"error"`
	Class    string          `json:"class"`
	Cause    string          `json:"cause"`
	Platform bool            `json:"platform"`
	Patience metav1.Duration `json:"patience"`
	Advice   string          `json:"advice"`
}

func (a answer) err() error {
	if a.Status == nil {
		return errors.New(a.Error)
	}
	return &apierrors.StatusError{ErrStatus: *a.Status}
}

// recordedAnswers are a real API server's, by name; see e2e/apiserver.
func recordedAnswers(t *testing.T) map[string]metav1.Status {
	t.Helper()
	text, err := os.ReadFile("testdata/answers.json")
	if err != nil {
		t.Fatal(err)
	}
	var recording struct {
		Answers map[string]metav1.Status `json:"answers"`
	}
	if err := json.Unmarshal(text, &recording); err != nil {
		t.Fatal(err)
	}
	return recording.Answers
}

func TestClassify(t *testing.T) {
	data, err := os.ReadFile("testdata/answers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var answers []answer
	if err := yaml.UnmarshalStrict(data, &answers); err != nil {
		t.Fatal(err)
	}
	recorded := recordedAnswers(t)
	for _, tc := range answers {
		if status, isRecorded := recorded[tc.Name]; isRecorded {
			tc.Status = &status
			delete(recorded, tc.Name)
		} else if tc.Status == nil && tc.Error == "" {
			t.Errorf("%s is not recorded: make record-answers", tc.Name)
			continue
		}
		t.Run(tc.Name, func(t *testing.T) {
			err := fmt.Errorf("create pod x: %w", tc.err())
			got := Classify(err)
			want := Verdict{Class: Hold, Cause: tc.Cause, Platform: tc.Platform, Patience: tc.Patience.Duration, Advice: got.Advice}
			if tc.Class == "never" {
				want.Class = Never
			}
			if tc.Advice != "" {
				want.Advice = tc.Advice
			}
			if got != want {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
			if (got.Class == Never || got.Patience > 0) && got.Advice == "" {
				t.Error("a job may fail for this, and nobody says what to change")
			}
			log := rejectedByCluster(got, err).Log()
			if strings.Contains(log, "create pod x") || !strings.Contains(log, tc.err().Error()) {
				t.Errorf("the log should quote the server alone:\n%s", log)
			}
		})
	}
	for name := range recorded {
		t.Errorf("answers.yaml does not say what the recorded answer %q means", name)
	}
}

func TestFailureLog(t *testing.T) {
	_, errs := jobpod.Pod(withPlugin(`{"podSpec":{"restartPolicy":"Always"}}`), jobpod.PodSettings{}, nil)
	log := rejectedByPod(errs).Log()
	want := "+++ This job could not be run on Kubernetes\n" +
		"Correct plugins.kubernetes.podSpec.restartPolicy: Invalid value: a job runs once, so only Never is possible; remove the field and use the step's retry instead\n" +
		"\nExit status 193 with signal reason stack_error means that no command of the job ran.\n"
	if log != want {
		t.Errorf("got\n%s\nwant\n%s", log, want)
	}
	long := Failure{Original: strings.Repeat("ä", maxOriginalBytes)}.Log()
	if len(long) > maxOriginalBytes+1000 || !strings.Contains(long, "…") {
		t.Errorf("a long answer is not cut: %d bytes", len(long))
	}
}

func at(seconds int) time.Time {
	return time.Date(2030, 1, 1, 0, 0, seconds, 0, time.UTC)
}
