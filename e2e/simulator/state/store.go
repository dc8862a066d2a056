package state

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Limits. They bound memory, not use: a benchmark stays well inside.
const (
	maxBuilds        = 10_000
	maxJobs          = 100_000
	maxJobsPerUpload = 10_000
	maxLogBytes      = 16 << 20
	maxStoredBytes   = 1 << 30
	maxAnnotations   = 1_000
	maxBodyBytes     = 1 << 20
	maxMetaData      = 10_000
	maxAgents        = 100_000
)

// Options configure a Store. The zero value works.
type Options struct {
	// Organization is the slug of the only organization. Default "example".
	Organization string
	// Cluster is the name of its first cluster. Default "default".
	Cluster string
	// Unclustered is an organization without clusters: there is no first one, and
	// AgentTokens register agents outside clusters.
	Unclustered bool
	// DefaultQueue is the key of the queue of jobs that name none. Default "default".
	DefaultQueue string
	// AgentTokens register agents with the first cluster. Default one, "agent-token".
	AgentTokens []string
	// UnclusteredAgentTokens register agents outside any cluster.
	UnclusteredAgentTokens []string
	// PublicURL is where browsers and pods reach the simulator, without a slash
	// at the end.
	PublicURL string
	// HeartbeatTimeout is how long an agent may be silent. Default 180 s.
	HeartbeatTimeout time.Duration
	// CancelGrace is how long a job may stay canceling or timing out before it
	// ends without its agent. Default 60 s.
	CancelGrace time.Duration
	// AssignTimeout is how long an agent may take to accept a job that a ping
	// gave it. Default 60 s.
	AssignTimeout time.Duration
	// ScheduledExpiry is how long after its creation a job may wait for an agent
	// before it expires. Default 30 days.
	ScheduledExpiry time.Duration
}

func (o Options) withDefaults() Options {
	def := func(value *string, fallback string) {
		if *value == "" {
			*value = fallback
		}
	}
	def(&o.Organization, "example")
	def(&o.Cluster, "default")
	def(&o.DefaultQueue, "default")
	if len(o.AgentTokens) == 0 {
		o.AgentTokens = []string{"agent-token"}
	}
	positive := func(value *time.Duration, fallback time.Duration) {
		if *value <= 0 {
			*value = fallback
		}
	}
	positive(&o.HeartbeatTimeout, 180*time.Second)
	positive(&o.CancelGrace, 60*time.Second)
	positive(&o.AssignTimeout, 60*time.Second)
	positive(&o.ScheduledExpiry, 30*24*time.Hour)
	return o
}

// Store holds all state. Use New.
type Store struct {
	options Options

	mu           sync.Mutex
	organization *organization
	builds       []*build
	buildByUUID  map[string]*build
	jobs         []*job // oldest first
	open         []*job // see openJobs
	revived      bool   // an ended job is open again
	listings     listings
	jobByUUID    map[string]*job
	sequence     int // of the youngest job
	assignments  int // of the latest job given to an agent
	agents       []*agent
	agentByUUID  map[string]*agent
	tokens       map[string]Identity
	artifacts    map[string]*artifact
	storedBytes  int64
	oracle       oracle
}

// New returns a Store with one organization and, unless it has none, one cluster
// and its default queue.
func New(options Options) *Store {
	options = options.withDefaults()
	s := &Store{
		options:     options,
		buildByUUID: map[string]*build{},
		jobByUUID:   map[string]*job{},
		agentByUUID: map[string]*agent{},
		tokens:      map[string]Identity{},
		artifacts:   map[string]*artifact{},
		oracle:      newOracle(),
	}
	s.organization = newOrganization(options.Organization)
	var first *cluster
	if !options.Unclustered {
		first = s.addCluster(options.Cluster, options.DefaultQueue)
	}
	for _, token := range options.AgentTokens {
		s.tokens[token] = Identity{Kind: RegistrationToken, cluster: first}
	}
	for _, token := range options.UnclusteredAgentTokens {
		s.tokens[token] = Identity{Kind: RegistrationToken}
	}
	return s
}

// newUUID returns a UUID that begins with the time, as Buildkite's do: many of
// one moment share their first characters.
func newUUID() string {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.NewString()
	}
	return id.String()
}

// fixedUUID returns the same UUID for the same name, so that manifests can hold it.
func fixedUUID(name string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("buildkite-simulator/"+name)).String()
}

func newToken(prefix string) string {
	return prefix + "_" + rand.Text()
}
