package dispatcher

import (
	"testing"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

func TestRecordNamesQueueAttemptAndBuild(t *testing.T) {
	pod := jobPod("a", testController)
	pod.Labels[contract.TagLabelPrefix+"queue"] = "linux"
	pod.Annotations[contract.AttemptAnnotation] = "2"
	pod.Annotations[contract.BuildUUIDAnnotation], pod.Annotations[contract.BuildURLAnnotation] = "b", "https://buildkite.test/b"
	record := NewPodRecord(pod)
	if record.Queue != "linux" || record.Attempt != 2 || record.Build != (BuildRef{UUID: "b", URL: "https://buildkite.test/b"}) {
		t.Errorf("got %+v", record)
	}
	if ref := refOf(record.Job()); ref.build != record.Build {
		t.Errorf("the job's build is %+v", ref.build)
	}
	// A name that can be no label is known from the agent's tags.
	delete(pod.Labels, contract.TagLabelPrefix+"queue")
	pod.Annotations[contract.AgentTagsAnnotation] = "os=linux,queue=with a space"
	if queue := NewPodRecord(pod).Queue; queue != "with a space" {
		t.Errorf("queue %q", queue)
	}
	pod.Annotations[contract.AgentTagsAnnotation] = "os=linux"
	if queue := NewPodRecord(pod).Queue; queue != "default" {
		t.Errorf("queue %q", queue)
	}
}
