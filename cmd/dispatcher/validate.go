package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// minPollInterval keeps a slip of a unit from becoming a storm of requests.
const minPollInterval = 100 * time.Millisecond

// validate reports everything that cannot work, and fills in what follows from
// other options.
func validate(o *options) error {
	problems := []error{
		required(o.org, "--org: tell which organization's jobs to run"),
		oneSource(o, "buildkite-token", &o.token, "buildkite-token-file", &o.tokenFile, true),
		oneSource(o, "agent-token", &o.agentToken, "agent-token-file", &o.agentTokenFile, false),
		checkURL("graphql-endpoint", o.graphqlEndpoint),
		checkURL("agent-endpoint", o.agentEndpoint),
		checkName("namespace", o.namespace, validation.IsDNS1123Label),
		checkTags(o),
	}
	if o.agentTokenSecret != "" {
		problems = append(problems, checkName("agent-token-secret", o.agentTokenSecret, validation.IsDNS1123Subdomain))
	}
	if strings.ContainsAny(o.image, " \t\n") {
		problems = append(problems, fmt.Errorf("--image: %q has a space in it", o.image))
	}
	if o.clusterUUID != "" {
		if _, err := uuid.Parse(o.clusterUUID); err != nil {
			problems = append(problems, fmt.Errorf("--cluster-uuid: %q is not a UUID; it is on the cluster's settings page", o.clusterUUID))
		}
	}
	if o.pollInterval < minPollInterval {
		problems = append(problems, fmt.Errorf("--poll-interval: %s is shorter than %s", o.pollInterval, minPollInterval))
	}
	if o.concurrency < 1 {
		problems = append(problems, errors.New("--job-creation-concurrency: want at least 1"))
	}
	if o.controllerID == "" {
		o.controllerID = defaultControllerID(o)
	}
	problems = append(problems, checkName("controller-id", o.controllerID, validation.IsValidLabelValue))
	return errors.Join(problems...)
}

func required(value, message string) error {
	if value == "" {
		return errors.New(message)
	}
	return nil
}

// oneSource decides between a token as text and as file: the one from the
// higher layer counts.
func oneSource(o *options, textName string, text *string, fileName string, file *string, isRequired bool) error {
	if *text == "" && *file == "" {
		if isRequired {
			return fmt.Errorf("--%s or --%s: one of them is needed", textName, fileName)
		}
		return nil
	}
	switch textLayer, fileLayer := o.layers[textName], o.layers[fileName]; {
	case *text == "" || *file == "":
	case textLayer == fileLayer:
		return fmt.Errorf("--%s and --%s: give one of them", textName, fileName)
	case textLayer > fileLayer:
		*file = ""
	default:
		*text = ""
	}
	return nil
}

// checkTags reads the tags and settles the queue.
func checkTags(o *options) error {
	tags, err := jobpod.ParseTags(o.tags)
	if err != nil {
		return fmt.Errorf("--tags: %w", err)
	}
	queues := 0
	for _, tag := range tags {
		if tag.Key == jobpod.QueueKey {
			queues++
		}
	}
	_, tagsGiven := o.layers["tags"]
	switch {
	case queues > 1:
		return errors.New("--tags: more than one queue; run one dispatcher for each")
	case o.queue != "" && tagsGiven && queues == 1 && tags.Queue() != o.queue:
		return fmt.Errorf("--queue %s and --tags queue=%s: they disagree", o.queue, tags.Queue())
	case strings.ContainsAny(o.queue, ",= \t\n"):
		return fmt.Errorf("--queue: %q is not the name of a queue", o.queue)
	case o.queue != "":
		tags = tags.WithQueue(o.queue)
	}
	o.queue = tags.Queue()
	o.tags = strings.Split(tags.String(), ",")
	return nil
}

func checkURL(name, text string) error {
	parsed, err := url.Parse(text)
	if err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Host == "" {
		return fmt.Errorf("--%s: want an address such as https://host/path", name)
	}
	return nil
}

func checkName(name, value string, check func(string) []string) error {
	if problems := check(value); len(problems) > 0 {
		return fmt.Errorf("--%s: %q: %s", name, value, strings.Join(problems, "; "))
	}
	return nil
}

// defaultControllerID tells dispatchers apart that share a namespace: by
// organization, cluster and queue. A label takes 63 characters.
func defaultControllerID(o *options) string {
	parts := []string{o.org}
	if o.clusterUUID != "" {
		parts = append(parts, strings.SplitN(o.clusterUUID, "-", 2)[0])
	}
	id := strings.Join(append(parts, o.queue), "-")
	if len(validation.IsValidLabelValue(id)) == 0 {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "dispatcher-" + hex.EncodeToString(sum[:8])
}
