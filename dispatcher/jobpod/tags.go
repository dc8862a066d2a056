package jobpod

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// QueueKey is the tag that names an agent's queue.
	QueueKey = "queue"
	// DefaultQueue is the queue of agents that have no queue tag.
	DefaultQueue = "default"
	// ResourceClassKey is the tag with which a job picks one of the mutator's
	// resource classes; agents are not matched by it.
	ResourceClassKey = "resource_class"
	// bareValue is the value of a tag given without one: "linux" is "linux=true".
	bareValue = "true"
	// anyValue in a rule accepts every value: "os=*".
	anyValue = "*"
)

// Tag is what an agent says of itself, and what a job may ask for.
type Tag struct {
	Key, Value string
}

// String returns "key=value".
func (t Tag) String() string {
	return t.Key + "=" + t.Value
}

// Tags are the tags of the agents that a dispatcher starts, in the order given.
type Tags []Tag

// ParseTags reads tags such as "queue=linux" and "docker", which is short for
// "docker=true". Blank entries are skipped. A tag without a key, or with a
// comma or line break (agents take a comma-separated list), is an error.
func ParseTags(entries []string) (Tags, error) {
	var tags Tags
	for _, entry := range entries {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		tag := parseTag(entry)
		if tag.Key == "" || tag.Value == "" || strings.ContainsAny(entry, ",\n\r") {
			return nil, fmt.Errorf("read tag %q: want key=value or a bare key", entry)
		}
		if !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	return tags, nil
}

// parseTag reads one tag or rule. A missing "=" means the bare value.
func parseTag(text string) Tag {
	key, value, found := strings.Cut(text, "=")
	if !found {
		value = bareValue
	}
	return Tag{Key: strings.TrimSpace(key), Value: strings.TrimSpace(value)}
}

// String returns the tags as agents take them: "queue=linux,docker=true".
func (t Tags) String() string {
	texts := make([]string, len(t))
	for i, tag := range t {
		texts[i] = tag.String()
	}
	return strings.Join(texts, ",")
}

// Queue returns the queue that agents with these tags are in.
func (t Tags) Queue() string {
	for _, tag := range t {
		if tag.Key == QueueKey {
			return tag.Value
		}
	}
	return DefaultQueue
}

// WithQueue returns the tags with this queue in place of any other.
func (t Tags) WithQueue(queue string) Tags {
	others := slices.DeleteFunc(slices.Clone(t), func(tag Tag) bool { return tag.Key == QueueKey })
	return append(Tags{{Key: QueueKey, Value: queue}}, others...)
}

// Accept reports whether agents with these tags may run a job with these
// rules: every rule must be met. The value "*" asks for the key alone.
// Buildkite's listing returns jobs of which any rule matches, hence this check.
func (t Tags) Accept(rules []string) bool {
	for _, rule := range rules {
		if !t.meet(rule) {
			return false
		}
	}
	return true
}

// ForJob returns the tags of an agent that may acquire a job with these rules:
// those that every job is given anyway, and the resource class that it asks for.
func (t Tags) ForJob(rules []string) Tags {
	class := resourceClass(rules)
	if class == "" {
		return t
	}
	others := slices.DeleteFunc(slices.Clone(t), func(tag Tag) bool { return tag.Key == ResourceClassKey })
	return append(others, Tag{Key: ResourceClassKey, Value: class})
}

// resourceClass returns the class that a job's rules ask for, or "".
func resourceClass(rules []string) string {
	for _, rule := range rules {
		if tag := parseTag(rule); tag.Key == ResourceClassKey && tag.Value != anyValue {
			return tag.Value
		}
	}
	return ""
}

func (t Tags) meet(rule string) bool {
	rule = strings.TrimSpace(rule)
	if rule == "" || rule == anyValue {
		return true
	}
	want := parseTag(rule)
	if want.Key == ResourceClassKey {
		return true
	}
	if want.Key == QueueKey {
		return want.Value == anyValue || want.Value == t.Queue()
	}
	return slices.ContainsFunc(t, func(tag Tag) bool {
		return tag.Key == want.Key && (want.Value == anyValue || want.Value == tag.Value)
	})
}
