package state

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// jobEnvironment adds to the author's variables those that Buildkite sets, which
// win. They do not change later; agentEnvironment adds what depends on the agent.
func (s *Store) jobEnvironment(j *job, authors map[string]string) map[string]string {
	b := j.build
	own := map[string]string{
		"BUILDKITE": "true",
		"CI":        "true",

		"BUILDKITE_ORGANIZATION_ID":   s.organization.uuid,
		"BUILDKITE_ORGANIZATION_SLUG": s.organization.slug,

		"BUILDKITE_PIPELINE_ID":             b.pipeline.uuid,
		"BUILDKITE_PIPELINE_SLUG":           b.pipeline.slug,
		"BUILDKITE_PIPELINE_NAME":           b.pipeline.slug,
		"BUILDKITE_PIPELINE_PROVIDER":       "private",
		"BUILDKITE_PIPELINE_DEFAULT_BRANCH": "main",
		"BUILDKITE_REPO":                    b.pipeline.repository,

		"BUILDKITE_BUILD_ID":            b.uuid,
		"BUILDKITE_BUILD_NUMBER":        strconv.Itoa(b.number),
		"BUILDKITE_BUILD_URL":           b.url,
		"BUILDKITE_BUILD_CREATOR":       "Simulated Person",
		"BUILDKITE_BUILD_CREATOR_EMAIL": "person@example.com",
		"BUILDKITE_BRANCH":              b.branch,
		"BUILDKITE_COMMIT":              b.commit,
		"BUILDKITE_MESSAGE":             b.message,
		"BUILDKITE_TAG":                 "",
		"BUILDKITE_PULL_REQUEST":        "false",
		"BUILDKITE_SOURCE":              "api",

		"BUILDKITE_JOB_ID":         j.uuid,
		"BUILDKITE_STEP_ID":        j.step.uuid,
		"BUILDKITE_STEP_KEY":       j.step.Key,
		"BUILDKITE_LABEL":          j.step.Label,
		"BUILDKITE_COMMAND":        j.step.Command,
		"BUILDKITE_SCRIPT_PATH":    j.step.Command,
		"BUILDKITE_ARTIFACT_PATHS": j.step.ArtifactPaths,
		"BUILDKITE_RETRY_COUNT":    strconv.Itoa(j.retry.count),
		"BUILDKITE_TIMEOUT":        "false",
	}
	if j.step.Timeout > 0 {
		own["BUILDKITE_TIMEOUT"] = strconv.Itoa(int(j.step.Timeout / time.Minute))
	}
	if j.step.Plugins != "" {
		own["BUILDKITE_PLUGINS"] = j.step.Plugins
	}
	if j.parallelTotal > 0 {
		own["BUILDKITE_PARALLEL_JOB"] = strconv.Itoa(j.parallelIndex)
		own["BUILDKITE_PARALLEL_JOB_COUNT"] = strconv.Itoa(j.parallelTotal)
	}
	if j.step.Group != "" || j.step.GroupKey != "" {
		own["BUILDKITE_GROUP_LABEL"], own["BUILDKITE_GROUP_KEY"] = j.step.Group, j.step.GroupKey
	}
	if j.queue != nil {
		own["BUILDKITE_CLUSTER_ID"], own["BUILDKITE_CLUSTER_NAME"] = j.queue.cluster.uuid, j.queue.cluster.name
	}
	return merge(authors, own)
}

// agentEnvironment returns the whole environment, as the agent gets it.
func (j *job) agentEnvironment() map[string]string {
	result := merge(j.env)
	result["BUILDKITE_COMMIT"] = j.build.commit
	result["BUILDKITE_COMMIT_RESOLVED"] = strconv.FormatBool(j.build.commitIsResolved())
	if j.agent == nil {
		return result
	}
	result["BUILDKITE_AGENT_ID"] = j.agent.uuid
	result["BUILDKITE_AGENT_NAME"] = j.agent.name
	for _, tag := range j.agent.tags {
		key, value, _ := strings.Cut(tag, "=")
		result["BUILDKITE_AGENT_META_DATA_"+variableName(key)] = value
	}
	return result
}

// variableName turns a tag's key into the end of a variable's name: k8s:node
// becomes K8S_NODE.
func variableName(key string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		default:
			return '_'
		}
	}, key)
}

// EnvironmentList returns env as GraphQL lists it: KEY=value, sorted by key.
func EnvironmentList(env map[string]string) []string {
	result := make([]string, 0, len(env))
	for _, key := range sortedKeys(env) {
		result = append(result, fmt.Sprintf("%s=%s", key, env[key]))
	}
	return result
}
