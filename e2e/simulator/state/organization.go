package state

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

type organization struct {
	uuid, slug string
	clusters   []*cluster // as created
	pipelines  []*pipelineRecord
}

func newOrganization(slug string) *organization {
	return &organization{uuid: fixedUUID("organization/" + slug), slug: slug}
}

type cluster struct {
	uuid, name   string
	defaultQueue *queue
	queues       []*queue // as created
}

type queue struct {
	uuid, key string
	cluster   *cluster // nil outside clusters
	paused    bool
	pausedAt  time.Time
	note      string
}

type pipelineRecord struct {
	uuid, slug, repository string
	cluster                *cluster
	lastNumber             int
}

// Organization is the simulator's only one.
type Organization struct {
	UUID string `json:"uuid"`
	Slug string `json:"slug"`
}

// Cluster is a copy of a cluster.
type Cluster struct {
	UUID         string  `json:"uuid"`
	Name         string  `json:"name"`
	DefaultQueue string  `json:"default_queue"`
	Queues       []Queue `json:"queues"`
}

// Queue is a copy of a cluster's queue.
type Queue struct {
	UUID           string    `json:"uuid"`
	Key            string    `json:"key"`
	ClusterUUID    string    `json:"cluster_uuid"`
	DispatchPaused bool      `json:"dispatch_paused"`
	PausedAt       time.Time `json:"paused_at,omitzero"`
	Note           string    `json:"note,omitempty"`
}

// GlobalID returns the id that GraphQL uses: base64 of type, dashes and UUID.
func GlobalID(kind, uuid string) string {
	return base64.StdEncoding.EncodeToString([]byte(kind + "---" + uuid))
}

// ParseGlobalID returns the UUID in a global id of that kind.
func ParseGlobalID(kind, id string) (string, bool) {
	text, err := base64.StdEncoding.DecodeString(id)
	if err != nil {
		return "", false
	}
	return strings.CutPrefix(string(text), kind+"---")
}

// Organization returns the organization.
func (s *Store) Organization() Organization {
	return Organization{UUID: s.organization.uuid, Slug: s.organization.slug}
}

// Clusters returns all clusters by name.
func (s *Store) Clusters() []Cluster {
	s.mu.Lock()
	defer s.mu.Unlock()
	var result []Cluster
	for _, c := range s.organization.clusters {
		result = append(result, c.snapshot())
	}
	slices.SortFunc(result, func(a, b Cluster) int { return cmp.Compare(a.Name, b.Name) })
	return result
}

func (c *cluster) snapshot() Cluster {
	result := Cluster{UUID: c.uuid, Name: c.name, DefaultQueue: c.defaultQueue.key}
	for _, q := range c.queues {
		result.Queues = append(result.Queues, q.snapshot())
	}
	slices.SortFunc(result.Queues, func(a, b Queue) int { return cmp.Compare(a.Key, b.Key) })
	return result
}

func (q *queue) snapshot() Queue {
	return Queue{UUID: q.uuid, Key: q.key, ClusterUUID: q.cluster.uuid, DispatchPaused: q.paused, PausedAt: q.pausedAt, Note: q.note}
}

// AddCluster makes a cluster whose agents register with token. Jobs and agents
// that name no queue are in defaultQueue; empty is Options.DefaultQueue. It is a
// Problem when the name or the token is taken.
func (s *Store) AddCluster(name, token, defaultQueue string) (Cluster, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == "" || token == "" {
		return Cluster{}, unprocessable("a cluster needs a name and an agent token")
	}
	if _, taken := s.tokens[token]; taken {
		return Cluster{}, unprocessable("the agent token of cluster %q is in use already; choose another", name)
	}
	if s.cluster(name) != nil {
		return Cluster{}, unprocessable("cluster %q exists already", name)
	}
	added := s.addCluster(name, orDefault(defaultQueue, s.options.DefaultQueue))
	s.tokens[token] = Identity{Kind: RegistrationToken, cluster: added}
	return added.snapshot(), nil
}

func (s *Store) addCluster(name, defaultQueue string) *cluster {
	c := &cluster{uuid: fixedUUID(s.organization.slug + "/" + name), name: name}
	c.defaultQueue = c.queue(defaultQueue)
	s.organization.clusters = append(s.organization.clusters, c)
	return c
}

// defaultQueue is where jobs and agents are that name no queue. c is nil outside
// clusters.
func (s *Store) defaultQueue(c *cluster) string {
	if c == nil {
		return s.options.DefaultQueue
	}
	return c.defaultQueue.key
}

// firstCluster returns the cluster of requests that name none, or nil if there
// are no clusters.
func (s *Store) firstCluster() *cluster {
	if len(s.organization.clusters) == 0 {
		return nil
	}
	return s.organization.clusters[0]
}

// cluster finds a cluster by name or UUID.
func (s *Store) cluster(name string) *cluster {
	for _, c := range s.organization.clusters {
		if c.name == name || c.uuid == name {
			return c
		}
	}
	return nil
}

// queue returns the queue of that key and makes it if need be, so that a test
// does not have to announce its queues.
func (c *cluster) queue(key string) *queue {
	for _, q := range c.queues {
		if q.key == key {
			return q
		}
	}
	q := &queue{uuid: fixedUUID(c.uuid + "/" + key), key: key, cluster: c}
	c.queues = append(c.queues, q)
	return q
}

// PauseQueue pauses or resumes dispatch of a queue, which is made if need be.
// The cluster is a name or a UUID; empty is the first.
func (s *Store) PauseQueue(clusterName, key string, paused bool, note string) (Queue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.firstCluster()
	if clusterName != "" {
		c = s.cluster(clusterName)
	}
	if c == nil {
		return Queue{}, notFound("no cluster %q", clusterName)
	}
	if key == "" {
		return Queue{}, unprocessable("name the queue to pause or resume")
	}
	q := c.queue(key)
	q.paused, q.note, q.pausedAt = paused, note, time.Time{}
	if paused {
		q.pausedAt = time.Now()
	}
	return q.snapshot(), nil
}
