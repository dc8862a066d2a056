package state

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLogbook(t *testing.T) {
	cases := map[string]struct {
		chunks []chunk
		want   string
	}{
		"in order":        {[]chunk{{0, []byte("ab")}, {2, []byte("cd")}}, "abcd"},
		"out of order":    {[]chunk{{4, []byte("ef")}, {0, []byte("ab")}, {2, []byte("cd")}}, "abcdef"},
		"twice the same":  {[]chunk{{0, []byte("ab")}, {0, []byte("ab")}, {2, []byte("cd")}}, "abcd"},
		"overlapping":     {[]chunk{{0, []byte("abc")}, {2, []byte("cd")}}, "abcd"},
		"longer again":    {[]chunk{{0, []byte("a")}, {0, []byte("abc")}}, "abc"},
		"within another":  {[]chunk{{0, []byte("abcd")}, {1, []byte("b")}}, "abcd"},
		"something lost":  {[]chunk{{0, []byte("a")}, {3, []byte("d")}}, "a\n[2 bytes of the log have not arrived]\nd"},
		"nothing at all":  {nil, ""},
		"empty in middle": {[]chunk{{0, []byte("a")}, {1, nil}, {1, []byte("b")}}, "ab"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var log logbook
			for _, c := range tc.chunks {
				if !log.add(c.offset, c.data) {
					t.Fatal("there is no room")
				}
			}
			if diff := cmp.Diff(tc.want, string(log.bytes())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLogIsBounded(t *testing.T) {
	s := newStore(t, Options{})
	job := s.build(oneJob).Jobs[0]
	s.refused(s.AddLog(job.UUID, 0, []byte("early")), http.StatusUnprocessableEntity)
	s.begin(s.agent("queue=q"), job)
	s.refused(s.AddLog(job.UUID, -1, []byte("x")), http.StatusUnprocessableEntity)
	s.refused(s.AddLog(job.UUID, maxLogBytes+1, []byte("far")), http.StatusRequestEntityTooLarge)
	big := make([]byte, maxLogBytes)
	s.must(s.AddLog(job.UUID, 0, big))
	s.refused(s.AddLog(job.UUID, maxLogBytes, []byte("x")), http.StatusRequestEntityTooLarge)
}

func TestArtifacts(t *testing.T) {
	s := newStore(t, Options{})
	build := s.build(`[{command: a, key: ka, label: first}, {command: b}]`)
	upload := func(job Job, path, data string) Upload {
		t.Helper()
		uploads, err := s.CreateArtifacts(job.UUID, "batch-"+path+data, "", []NewArtifact{{Path: path, FileSize: int64(len(data))}})
		s.must(err)
		again, err := s.CreateArtifacts(job.UUID, "batch-"+path+data, "", []NewArtifact{{Path: path, FileSize: int64(len(data))}})
		s.must(err)
		if diff := cmp.Diff(uploads, again); diff != "" {
			t.Errorf("the same batch again (-first +second):\n%s", diff)
		}
		token := uploads[0].Path[strings.LastIndex(uploads[0].Path, "/")+1:]
		s.refused(s.StoreArtifact(uploads[0].ArtifactUUID, "forged", []byte(data)), http.StatusNotFound)
		s.refused(s.SetArtifactState(job.UUID, uploads[0].ArtifactUUID, "finished"), http.StatusUnprocessableEntity)
		s.must(s.StoreArtifact(uploads[0].ArtifactUUID, token, []byte(data)))
		s.must(s.SetArtifactState(job.UUID, uploads[0].ArtifactUUID, "finished"))
		return uploads[0]
	}
	upload(build.Jobs[0], "pkg/a.txt", "old")
	upload(build.Jobs[0], "pkg/deep/b.txt", "b")
	latest := upload(build.Jobs[1], "pkg/a.txt", "newer")

	cases := map[string]struct {
		search ArtifactSearch
		want   []string
	}{
		"all":                {ArtifactSearch{}, []string{"pkg/deep/b.txt", "pkg/a.txt"}},
		"with duplicates":    {ArtifactSearch{Duplicates: true}, []string{"pkg/a.txt", "pkg/deep/b.txt", "pkg/a.txt"}},
		"star crosses slash": {ArtifactSearch{Query: "pkg/*.txt"}, []string{"pkg/deep/b.txt", "pkg/a.txt"}},
		"two stars":          {ArtifactSearch{Query: "**/b.txt"}, []string{"pkg/deep/b.txt"}},
		"exact":              {ArtifactSearch{Query: "pkg/a.txt"}, []string{"pkg/a.txt"}},
		"dots are dots":      {ArtifactSearch{Query: "pkg/aXtxt"}, nil},
		"by step key":        {ArtifactSearch{Scope: "ka"}, []string{"pkg/a.txt", "pkg/deep/b.txt"}},
		"by job":             {ArtifactSearch{Scope: build.Jobs[1].UUID}, []string{"pkg/a.txt"}},
		"by state":           {ArtifactSearch{State: "new"}, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			found, err := s.SearchArtifacts(build.UUID, tc.search)
			if err != nil {
				t.Fatal(err)
			}
			var paths []string
			for _, artifact := range found {
				paths = append(paths, artifact.Path)
			}
			if diff := cmp.Diff(tc.want, paths); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if _, data, ok := s.ArtifactData(latest.ArtifactUUID); !ok || string(data) != "newer" {
		t.Errorf("data %q, %t", data, ok)
	}
}

func TestAnnotations(t *testing.T) {
	s := newStore(t, Options{})
	build := s.build(`[{command: a}]`)
	job := build.Jobs[0].UUID
	add := func(wanted Annotation, extend bool) {
		t.Helper()
		_, err := s.Annotate(job, wanted, extend)
		s.must(err)
	}
	add(Annotation{Body: "one"}, false)
	add(Annotation{Body: " and two", Style: "error"}, true)
	add(Annotation{Body: "first", Context: "top", Priority: 9}, false)
	add(Annotation{Body: "of the job", JobUUID: job}, false)
	_, err := s.Annotate(job, Annotation{Body: "x", Style: "pink"}, false)
	s.refused(err, http.StatusUnprocessableEntity)
	_, err = s.Annotate(job, Annotation{Context: "empty"}, false)
	s.refused(err, http.StatusUnprocessableEntity)
	_, err = s.Annotate(job, Annotation{Body: strings.Repeat("x", maxBodyBytes)}, true)
	s.refused(err, http.StatusRequestEntityTooLarge)

	summary := func() []string {
		t.Helper()
		all, err := s.Annotations(build.UUID)
		s.must(err)
		var result []string
		for _, a := range all {
			result = append(result, a.Context+":"+a.Style+":"+a.Body)
		}
		return result
	}
	if diff := cmp.Diff([]string{"top:default:first", "default:error:one and two", "default:default:of the job"}, summary()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.must(s.RemoveAnnotation(job, "default", ""))
	s.refused(s.RemoveAnnotation(job, "default", ""), http.StatusNotFound)
	if diff := cmp.Diff([]string{"top:default:first", "default:default:of the job"}, summary()); diff != "" {
		t.Errorf("after removal (-want +got):\n%s", diff)
	}
}

func TestStepAttributes(t *testing.T) {
	s := newStore(t, Options{})
	build := s.build(`[{command: a, key: ka, label: old, parallelism: 2, soft_fail: true}]`)
	get := func(name string) string {
		t.Helper()
		value, err := s.StepAttribute(build.Jobs[0].UUID, "ka", name)
		s.must(err)
		return value
	}
	s.must(s.UpdateStep(build.UUID, "ka", "label", " and new", true))
	s.must(s.UpdateStep(build.UUID, "ka", "priority", "8", false))
	s.refused(s.UpdateStep(build.UUID, "ka", "command", "x", false), http.StatusUnprocessableEntity)
	s.refused(s.UpdateStep(build.UUID, "none", "label", "x", false), http.StatusNotFound)
	if got := get("label") + "," + get("state") + "," + get("priority"); got != "old and new,ready,8" {
		t.Error(got)
	}
	s.run(build.Jobs[0], "0")
	s.run(build.Jobs[1], "7")
	if got := get("state") + "," + get("outcome"); got != "finished,soft_failed" {
		t.Error(got)
	}
	_, err := s.StepAttribute(build.UUID, "ka", "colour")
	s.refused(err, http.StatusNotFound)
}

func TestMetaData(t *testing.T) {
	s := newStore(t, Options{})
	build := s.buildOf(NewBuild{MetaData: map[string]string{"given": "x"}}, `[{command: a}]`)
	s.must(s.SetMetaData(build.Jobs[0].UUID, map[string]string{"a": "1"}))
	s.refused(s.SetMetaData(build.UUID, map[string]string{"": "1"}), http.StatusUnprocessableEntity)
	s.refused(s.SetMetaData(build.UUID, map[string]string{"a": ""}), http.StatusUnprocessableEntity)
	s.refused(s.SetMetaData("none", map[string]string{"a": "1"}), http.StatusNotFound)
	values, err := s.MetaData(build.UUID)
	s.must(err)
	if diff := cmp.Diff(map[string]string{"given": "x", "a": "1"}, values); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCommitResolved(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	told := map[string]string{commitKey: "commit " + commit + "\nabbrev-commit 0123456\n"}
	for name, test := range map[string]struct {
		request      NewBuild
		told         map[string]string
		commit, know string
	}{
		"a branch's newest":                  {commit: "HEAD", know: "false"},
		"a commit of which nothing is known": {request: NewBuild{Commit: commit}, commit: commit, know: "false"},
		"a commit of which all is known":     {request: NewBuild{Commit: commit, MetaData: told}, commit: commit, know: "true"},
		"a name, of which all is known":      {request: NewBuild{MetaData: told}, commit: commit, know: "true"},
		"after the first job":                {told: told, commit: commit, know: "true"},
		"after a job that told nonsense":     {told: map[string]string{commitKey: "none"}, commit: "HEAD", know: "false"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, Options{})
			build := s.buildOf(test.request, `[{command: a}]`)
			if test.told != nil {
				s.must(s.SetMetaData(build.UUID, test.told))
			}
			acquired, err := s.Acquire(s.agent("queue=default").UUID, build.Jobs[0].UUID)
			s.must(err)
			got := []string{acquired.Env["BUILDKITE_COMMIT"], acquired.Env["BUILDKITE_COMMIT_RESOLVED"]}
			if diff := cmp.Diff([]string{test.commit, test.know}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestViolations hands the oracle records that the state machine never makes.
func TestViolations(t *testing.T) {
	did := func(kinds ...EventKind) []Event {
		var events []Event
		for _, kind := range kinds {
			events = append(events, Event{Kind: kind, Accepted: true})
		}
		return events
	}
	cases := map[string]struct {
		events []Event
		want   []string
	}{
		"as it should be": {did(EventAcquire, EventStart, EventFinish), nil},
		"never run":       {did(EventCreated, EventCancel), nil},
		"acquired twice":  {did(EventAcquire, EventAcquire), []string{"job j: acquired 2 times"}},
		"both ways":       {did(EventAcquire, EventAccept), []string{"job j: acquired 2 times"}},
		"finished twice":  {did(EventAcquire, EventFinish, EventFinish), []string{"job j: finished 2 times", "job j: finished without having been acquired", "job j: finish was sent 2 times"}},
		"out of nowhere":  {did(EventStart, EventFinish), []string{"job j: started without having been acquired", "job j: finished without having been acquired"}},
		"finish repeated": {append(did(EventAcquire, EventStart, EventFinish), Event{Kind: EventFinish}), []string{"job j: finish was sent 2 times"}},
		"after the loss":  {append(did(EventAcquire, EventStart, EventLost), Event{Kind: EventFinish}, Event{Kind: EventFinish}), nil},
		"acquire refused": {append(did(EventAcquire), Event{Kind: EventAcquire}), nil},
		"answer lost":     {append(did(EventAcquire, EventStart, EventFault, EventFinish), Event{Kind: EventFinish}), nil},
		"one answer lost, sent thrice": {
			append(did(EventAcquire, EventStart, EventFault, EventFinish), Event{Kind: EventFinish}, Event{Kind: EventFinish}),
			[]string{"job j: finish was sent 3 times"},
		},
		"retried twice": {did(EventRetried, EventRetried), []string{"job j: retried 2 times"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := newOracle()
			for _, event := range tc.events {
				o.note("j", event)
			}
			if diff := cmp.Diff(tc.want, o.records["j"].violations()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if known := o.wrong["j"] != nil; known != (tc.want != nil) {
				t.Errorf("noticed at once: %t", known)
			}
		})
	}
}

func TestClusters(t *testing.T) {
	s := newStore(t, Options{})
	added, err := s.AddCluster("second", "second-token", "")
	s.must(err)
	for _, pair := range [][2]string{{"second", "other"}, {"third", "second-token"}, {"third", "agent-token"}, {"", "x"}} {
		_, err := s.AddCluster(pair[0], pair[1], "")
		s.refused(err, http.StatusUnprocessableEntity)
	}
	job := s.buildOf(NewBuild{Cluster: "second"}, oneJob).Jobs[0]
	_, err = s.Acquire(s.agent("queue=q").UUID, job.UUID)
	s.refused(err, http.StatusNotFound)
	_, err = s.Acquire(s.agentWith("second-token", "queue=q").UUID, job.UUID)
	s.must(err)
	if job.ClusterUUID != added.UUID {
		t.Errorf("the job is in cluster %s", job.ClusterUUID)
	}
	queue, err := s.PauseQueue("second", "q", true, "repairs")
	s.must(err)
	if !queue.DispatchPaused || queue.UUID != job.QueueUUID {
		t.Errorf("queue %+v", queue)
	}
	_, err = s.PauseQueue("none", "q", true, "")
	s.refused(err, http.StatusNotFound)
}
