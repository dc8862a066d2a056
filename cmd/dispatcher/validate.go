package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	// minPollInterval keeps a slip of a unit from becoming a storm of requests.
	minPollInterval = 100 * time.Millisecond
	// minLeaseDuration leaves a leader time to renew its lease.
	minLeaseDuration = 3 * time.Second
	// maxBudgetShare leaves others some of what is counted for all.
	maxBudgetShare = 0.78
)

// Values of options with a choice.
const (
	statusDistinct   = "distinct"
	statusCompatible = "compatible"
	formatText       = "text"
	formatJSON       = "json"
	formatLogfmt     = "logfmt"
)

// validate reports everything that cannot work, and fills in what follows from
// other options.
func validate(o *options) error {
	problems := []error{
		required(o.org, "--org: tell which organization's jobs to run"),
		oneSource(o, "buildkite-token", &o.token, "buildkite-token-file", &o.tokenFile, true),
		oneSource(o, "agent-token", &o.agentToken, "agent-token-file", &o.agentTokenFile, false),
		checkURL("graphql-endpoint", o.graphqlEndpoint),
		checkURL("agent-endpoint", o.agentEndpoint),
		checkURL("rest-endpoint", o.restEndpoint),
		checkName("--namespace", o.namespace, validation.IsDNS1123Label),
		checkSecret("--agent-token-secret", o.agentTokenSecret),
		checkImage("--image", o.image),
		checkChoice("failure-exit-status", o.failureStatus, statusDistinct, statusCompatible),
		checkChoice("log-format", o.logFormat, formatText, formatJSON),
		checkTimes(o),
		settleQueues(o),
	}
	if o.clusterUUID != "" {
		if _, err := uuid.Parse(o.clusterUUID); err != nil {
			problems = append(problems, fmt.Errorf("--cluster-uuid: %q is not a UUID; it is on the cluster's settings page", o.clusterUUID))
		}
	}
	if !(o.budgetShare > 0 && o.budgetShare <= maxBudgetShare) {
		problems = append(problems, fmt.Errorf("--graphql-budget-share: want more than 0 and at most %g: the rest is for others", maxBudgetShare))
	}
	if o.concurrency < 1 {
		problems = append(problems, errors.New("--job-creation-concurrency: want at least 1"))
	}
	if o.controllerID == "" && len(o.queues) > 0 {
		o.controllerID = defaultControllerID(o)
	}
	problems = append(problems,
		checkName("--controller-id", o.controllerID, validation.IsValidLabelValue),
		checkName("--mutator", o.mutator, validation.IsValidLabelValue))
	return errors.Join(problems...)
}

// checkTimes finds times that are too short to work with.
func checkTimes(o *options) error {
	var problems []error
	for name, least := range map[string]struct{ got, want time.Duration }{
		"poll-interval":                    {o.pollInterval, minPollInterval},
		"job-cancel-checker-poll-interval": {o.cancelInterval, time.Second},
		"lease-duration":                   {o.leaseDuration, minLeaseDuration},
		"buildkite-request-timeout":        {o.requestTimeout, time.Second},
		"agent-start-timeout":              {o.agentStartTimeout, time.Second},
	} {
		if least.got < least.want {
			problems = append(problems, fmt.Errorf("--%s: %s is shorter than %s", name, least.got, least.want))
		}
	}
	return errors.Join(problems...)
}

func checkChoice(name, value string, choices ...string) error {
	if slices.Contains(choices, value) {
		return nil
	}
	return fmt.Errorf("--%s: %q is neither %s", name, value, strings.Join(choices, " nor "))
}

func checkSecret(name, value string) error {
	if value == "" {
		return nil
	}
	return checkName(name, value, validation.IsDNS1123Subdomain)
}

func checkImage(name, image string) error {
	if strings.ContainsAny(image, " \t\n") {
		return fmt.Errorf("%s: %q has a space in it", name, image)
	}
	return nil
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

func checkURL(name, text string) error {
	parsed, err := url.Parse(text)
	if err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Host == "" {
		return fmt.Errorf("--%s: want an address such as https://host/path", name)
	}
	return nil
}

func checkName(name, value string, check func(string) []string) error {
	if problems := check(value); len(problems) > 0 {
		return fmt.Errorf("%s: %q: %s", name, value, strings.Join(problems, "; "))
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
	id := strings.Join(append(parts, o.queues[0].tags.Queue()), "-")
	if len(validation.IsValidLabelValue(id)) == 0 {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "dispatcher-" + hex.EncodeToString(sum[:8])
}
