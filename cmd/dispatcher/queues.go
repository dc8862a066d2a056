package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// queueEntry is an entry of the file's list of queues. What is left out is as
// the option of the same name says for all.
type queueEntry struct {
	Queue            string   `yaml:"queue"`
	Tags             textList `yaml:"tags"`
	Namespace        string   `yaml:"namespace"`
	MaxInFlight      *int     `yaml:"max-in-flight"`
	Image            string   `yaml:"image"`
	AgentTokenSecret string   `yaml:"agent-token-secret"`
	ProhibitPlugin   *bool    `yaml:"prohibit-kubernetes-plugin"`
}

// textList is a list of texts, or one text with commas.
type textList []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (l *textList) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*l = strings.Split(node.Value, ",")
		return nil
	}
	return node.Decode((*[]string)(l))
}

// queueOptions is a queue with everything settled.
type queueOptions struct {
	tags             jobpod.Tags
	namespace        string
	maxInFlight      int
	image            string
	agentTokenSecret string
	prohibitPlugin   bool
}

// queueList reads the file's list of queues.
func queueList(target *options, text string) error {
	decoder := yaml.NewDecoder(bytes.NewBufferString(text))
	decoder.KnownFields(true)
	var entries []queueEntry
	if err := decoder.Decode(&entries); err != nil {
		// The lines are those of the list alone, and mislead.
		return fmt.Errorf("want a list of objects with queue, tags, namespace, max-in-flight, image, agent-token-secret, prohibit-kubernetes-plugin: %s", withoutLines(err))
	}
	if len(entries) == 0 {
		return errors.New("the list is empty; remove it, or name a queue")
	}
	target.entries = entries
	return nil
}

func withoutLines(err error) string {
	var typeError *yaml.TypeError
	if !errors.As(err, &typeError) {
		return "it cannot be read"
	}
	problems := make([]string, len(typeError.Errors))
	for i, problem := range typeError.Errors {
		_, problems[i], _ = strings.Cut(problem, ": ")
		problems[i] = strings.TrimSuffix(problems[i], " in type main.queueEntry")
		problems[i] = strings.ReplaceAll(problems[i], "main.queueEntry", "an object")
	}
	return strings.Join(problems, "; ")
}

// settleQueues fills in the queues from the list, or from the options for one.
func settleQueues(o *options) error {
	if len(o.entries) == 0 {
		_, tagsGiven := o.layers["tags"]
		tags, err := settleTags("--", o.tags, tagsGiven, o.queue)
		if err != nil {
			return err
		}
		o.queues = []queueOptions{o.forQueue(tags)}
		return nil
	}
	var problems []error
	if o.queue != "" {
		problems = append(problems, errors.New("--queue and the file's queues: give one of them"))
	}
	names := []string{}
	for i, entry := range o.entries {
		settled, err := o.settleEntry(fmt.Sprintf("queues[%d].", i), entry)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		name := settled.tags.Queue()
		if slices.Contains(names, name) {
			problems = append(problems, fmt.Errorf("queues[%d]: queue %s is there twice; join the entries", i, name))
		}
		names = append(names, name)
		o.queues = append(o.queues, settled)
	}
	if len(o.entries) > 1 && o.controllerID == "" {
		problems = append(problems, errors.New("--controller-id: needed with several queues, because it must stay the same when the list changes"))
	}
	return errors.Join(problems...)
}

// forQueue is a queue as the options say for all.
func (o *options) forQueue(tags jobpod.Tags) queueOptions {
	return queueOptions{
		tags: tags, namespace: o.namespace, maxInFlight: o.maxInFlight,
		image: o.image, agentTokenSecret: o.agentTokenSecret, prohibitPlugin: o.prohibitPlugin,
	}
}

func (o *options) settleEntry(path string, entry queueEntry) (queueOptions, error) {
	texts, given := []string(entry.Tags), len(entry.Tags) > 0
	if entry.Queue == "" && !given {
		return queueOptions{}, fmt.Errorf("%squeue: name the queue, or give its tags", path)
	}
	if !given {
		texts = o.tags
	}
	tags, tagsErr := settleTags(path, texts, given, entry.Queue)
	settled := o.forQueue(tags)
	override(&settled.namespace, entry.Namespace)
	override(&settled.image, entry.Image)
	override(&settled.agentTokenSecret, entry.AgentTokenSecret)
	if entry.ProhibitPlugin != nil {
		settled.prohibitPlugin = *entry.ProhibitPlugin
	}
	var countErr error
	if entry.MaxInFlight != nil {
		settled.maxInFlight = *entry.MaxInFlight
		if settled.maxInFlight < 0 {
			countErr = fmt.Errorf("%smax-in-flight: %d is not a number of 0 or more", path, settled.maxInFlight)
		}
	}
	return settled, errors.Join(tagsErr, countErr,
		checkName(path+"namespace", settled.namespace, validation.IsDNS1123Label),
		checkImage(path+"image", settled.image),
		checkSecret(path+"agent-token-secret", settled.agentTokenSecret))
}

func override(value *string, with string) {
	if with != "" {
		*value = with
	}
}

// settleTags reads the tags of a queue's agents and puts the queue among them.
// The path is what stands before the options' names.
func settleTags(path string, texts []string, given bool, queue string) (jobpod.Tags, error) {
	tags, err := jobpod.ParseTags(texts)
	if err != nil {
		return nil, fmt.Errorf("%stags: %w", path, err)
	}
	queues := 0
	for _, tag := range tags {
		if tag.Key == jobpod.QueueKey {
			queues++
		}
	}
	switch {
	case queues > 1:
		return nil, fmt.Errorf("%stags: more than one queue; list them under queues in a file (--config)", path)
	case queue != "" && given && queues == 1 && tags.Queue() != queue:
		return nil, fmt.Errorf("%squeue %s and %stags queue=%s: they disagree", path, queue, path, tags.Queue())
	case strings.ContainsAny(queue, ",= \t\n"):
		return nil, fmt.Errorf("%squeue: %q is not the name of a queue", path, queue)
	case queue != "":
		tags = tags.WithQueue(queue)
	}
	return tags, nil
}
