package buildkite

import (
	"context"
	"time"
)

// Job is a command job as Buildkite knows it.
type Job struct {
	UUID         string    `json:"uuid"`
	URL          string    `json:"url"`
	Label        string    `json:"label"`
	State        string    `json:"state"`
	ExitStatus   string    `json:"exitStatus"`
	SignalReason string    `json:"signalReason"`
	Rules        []string  `json:"agentQueryRules"`
	ScheduledAt  time.Time `json:"scheduledAt"`
	RunnableAt   time.Time `json:"runnableAt"`
	StartedAt    time.Time `json:"startedAt"`
	FinishedAt   time.Time `json:"finishedAt"`
	// Env is the job's environment, which may hold secrets: it is for making the
	// job's pod, and is not shown.
	Env   []string `json:"env"`
	Agent *struct {
		Name            string `json:"name"`
		Hostname        string `json:"hostname"`
		ConnectionState string `json:"connectionState"`
	} `json:"agent"`
	// Cluster is nil for a job outside clusters.
	Cluster *ClusterName `json:"cluster"`
	Queue   *struct {
		Key    string `json:"key"`
		Paused bool   `json:"dispatchPaused"`
	} `json:"clusterQueue"`
}

// Job looks a job up. One that is unknown, or no command job, is nil.
func (c *Client) Job(ctx context.Context, uuid string) (*Job, error) {
	var answer struct {
		Job *Job `json:"job"`
	}
	if err := c.ask(ctx, "findJob", map[string]any{"uuid": uuid}, &answer); err != nil {
		return nil, err
	}
	if answer.Job == nil || answer.Job.UUID == "" {
		return nil, nil //nolint:nilnil // "there is none" is an answer
	}
	return answer.Job, nil
}
