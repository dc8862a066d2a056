package buildkite

import (
	"context"
	"slices"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// Scheduled lists jobs as dispatcher.Source describes. It pages until it has
// enough jobs without a pod, because those with one are the oldest.
func (c *Client) Scheduled(ctx context.Context, known func(uuid string) bool) ([]jobpod.Job, error) {
	paused, err := c.paused(ctx)
	if err != nil || paused {
		return nil, err
	}
	var (
		jobs    []jobpod.Job
		before  *string
		partial error
	)
	for {
		page, err := c.jobPage(ctx, before)
		if page == nil {
			return jobs, err
		}
		if err != nil {
			partial = err
		}
		for _, job := range pageJobs(page) {
			if !known(job.UUID) {
				jobs = append(jobs, job)
			}
		}
		cursor := page.PageInfo.StartCursor
		if !page.PageInfo.HasPreviousPage || cursor == "" || len(jobs) >= window {
			return jobs, partial
		}
		if before != nil && *before == cursor {
			return jobs, &dispatcher.Problem{Kind: "stuck-page", Advice: "Buildkite's job listing repeats itself; using what it has listed so far"}
		}
		before = &cursor
	}
}

// jobPage reads one page. An answer may hold a page and an error.
func (c *Client) jobPage(ctx context.Context, before *string) (*jobPage, error) {
	var cluster *string
	var clustered *bool
	if c.settings.ClusterUUID != "" {
		id := c.clusterID()
		cluster = &id
	} else {
		clustered = new(bool)
	}
	var answer *scheduledJobsResponse
	err := c.request(ctx, func(ctx context.Context) (err error) {
		answer, err = scheduledJobs(ctx, c.graphql, c.settings.Organization, c.listRules(), cluster, clustered, pageSize, before)
		return err
	})
	if answer == nil || answer.Organization == nil {
		if err == nil {
			err = c.unknownOrganization()
		}
		return nil, err
	}
	if answer.Organization.Jobs == nil && err == nil {
		err = &dispatcher.Problem{Kind: "no-listing", Advice: "Buildkite answered without a list of jobs"}
	}
	return answer.Organization.Jobs, err
}

// pageJobs returns the page's jobs, the oldest first, without those that an
// incomplete answer left out.
func pageJobs(page *jobPage) []jobpod.Job {
	var jobs []jobpod.Job
	for _, edge := range slices.Backward(page.Edges) {
		if edge == nil {
			continue
		}
		if node, isCommand := edge.Node.(*anyJobJobTypeCommand); isCommand && node.Uuid != "" {
			jobs = append(jobs, jobpod.Job{
				UUID:        node.Uuid,
				URL:         node.Url,
				Env:         node.Env,
				Rules:       node.AgentQueryRules,
				Priority:    node.Priority.Number,
				ScheduledAt: firstTime(node.ScheduledAt, node.CreatedAt),
			})
		}
	}
	return jobs
}

func firstTime(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}
