package buildkite

import (
	"fmt"
	"slices"
	"time"
)

// jobNode is a job of a page, of any GraphQL type: see operations.graphql. What
// other types than commandJob have is not asked for.
type jobNode struct {
	Type            jobType   `json:"__typename"`
	UUID            string    `json:"uuid"`
	URL             string    `json:"url"`
	Env             []string  `json:"env"`
	AgentQueryRules []string  `json:"agentQueryRules"`
	ScheduledAt     time.Time `json:"scheduledAt"`
	CreatedAt       time.Time `json:"createdAt"`
	Priority        struct {
		Number int `json:"number"`
	} `json:"priority"`
}

// jobType is the name of a GraphQL type that implements Job.
type jobType string

// commandJob is a job that an agent runs.
const commandJob jobType = "JobTypeCommand"

// jobTypes are all that there are.
var jobTypes = []jobType{commandJob, "JobTypeBlock", "JobTypeTrigger", "JobTypeWait"}

// UnmarshalText refuses names of other types: an answer of another API is to be told
// from one without jobs.
func (t *jobType) UnmarshalText(name []byte) error {
	known := slices.Index(jobTypes, jobType(name))
	if known < 0 {
		return fmt.Errorf("%.100q is no type of job", name)
	}
	*t = jobTypes[known]
	return nil
}
