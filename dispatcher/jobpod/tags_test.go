package jobpod

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTagsAccept(t *testing.T) {
	cases := map[string]struct {
		tags  string
		rules []string
		want  bool
	}{
		"no rules":                    {"queue=kubernetes", nil, true},
		"queue":                       {"queue=kubernetes", []string{"queue=kubernetes"}, true},
		"other queue":                 {"queue=kubernetes", []string{"queue=linux"}, false},
		"no queue is the default one": {"linux", []string{"queue=default", "linux"}, true},
		"only one of two rules":       {"queue=a,os=linux", []string{"queue=a", "os=mac"}, false},
		"any value":                   {"queue=a,os=linux", []string{"queue=a", "os=*"}, true},
		"any value of a missing key":  {"queue=a", []string{"os=*"}, false},
		"any queue":                   {"queue=a", []string{"queue=*"}, true},
		"anything":                    {"queue=a", []string{"*", ""}, true},
		"bare rule, bare tag":         {"queue=a,docker", []string{"docker"}, true},
		"written rule, bare tag":      {"queue=a,docker", []string{"docker=true"}, true},
		"bare rule, other value":      {"queue=a,docker=no", []string{"docker"}, false},
		"one of two values":           {"queue=a,size=s,size=m", []string{"size=m"}, true},
		"spaces":                      {"queue=a, os = linux", []string{" os=linux "}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tags, err := ParseTags(strings.Split(tc.tags, ","))
			if err != nil {
				t.Fatal(err)
			}
			if got := tags.Accept(tc.rules); got != tc.want {
				t.Errorf("Accept(%q) of %s = %v", tc.rules, tags, got)
			}
		})
	}
}

func TestParseTags(t *testing.T) {
	tags, err := ParseTags([]string{"linux", " xcode=8", "", "linux", "queue=a=b"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tags.String(), "linux=true,xcode=8,queue=a=b"; got != want {
		t.Errorf("tags %q, want %q", got, want)
	}
	if got, want := tags.WithQueue("c").String(), "queue=c,linux=true,xcode=8"; got != want {
		t.Errorf("with queue %q, want %q", got, want)
	}
	for _, wrong := range []string{"=a", "a=", "=", "a\nb=c"} {
		if _, err := ParseTags([]string{wrong}); err == nil {
			t.Errorf("ParseTags(%q) gives no error", wrong)
		}
	}
}

func TestCompareJobs(t *testing.T) {
	jobs := []Job{
		{UUID: "d", Priority: 0, ScheduledAt: time.Unix(1, 0)},
		{UUID: "c", Priority: -1, ScheduledAt: time.Unix(0, 0)},
		{UUID: "b", Priority: 5, ScheduledAt: time.Unix(9, 0)},
		{UUID: "a", Priority: 0, ScheduledAt: time.Unix(1, 0)},
		{UUID: "e", Priority: 0, ScheduledAt: time.Unix(0, 0)},
	}
	slices.SortFunc(jobs, CompareJobs)
	var order string
	for _, job := range jobs {
		order += job.UUID
	}
	if want := "beadc"; order != want {
		t.Errorf("order %s, want %s", order, want)
	}
}

func TestAuthorSentence(t *testing.T) {
	cases := map[string]string{
		"spec.containers[0].image: Required value":              "plugins.kubernetes.podSpec.containers[0].image: Required value",
		`unknown field "spec.containers[1].imagee"`:             `unknown field "plugins.kubernetes.podSpec.containers[1].imagee"`,
		"metadata.labels: Invalid value":                        "plugins.kubernetes.metadata.labels: Invalid value",
		"metadata.annotations[buildkite.com/plugin].sidecars.x": "plugins.kubernetes.sidecars.x",
		"the spec is wrong":                                     "the spec is wrong",
		"metadata.name: too long":                               "metadata.name: too long",
	}
	for sentence, want := range cases {
		if got := AuthorSentence(sentence); got != want {
			t.Errorf("AuthorSentence(%q) = %q, want %q", sentence, got, want)
		}
	}
}
