package state

import (
	"slices"
	"strings"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
)

// Connection states of agents.
const (
	AgentConnected    = "connected"
	AgentDisconnected = "disconnected"
	AgentLost         = "lost"
)

type agent struct {
	uuid, name, hostname, version string
	tags                          []string
	cluster                       *cluster
	token                         string
	connection                    string
	action                        string // what a ping is told to do
	ignore                        bool   // gets nothing by ping
	heardAt, registeredAt, lostAt time.Time
	job                           *job
}

// NewAgent is an agent's registration.
type NewAgent struct {
	Name, Hostname, Version string
	Tags                    []string
	// IgnoreInDispatches agents get no job by ping: they acquire one.
	IgnoreInDispatches bool
}

// Agent is a copy of an agent.
type Agent struct {
	UUID         string    `json:"uuid"`
	Name         string    `json:"name"`
	Hostname     string    `json:"hostname"`
	Version      string    `json:"version"`
	Tags         []string  `json:"tags"`
	Connection   string    `json:"connection"`
	Action       string    `json:"action,omitempty"`
	Ignore       bool      `json:"ignore_in_dispatches"`
	ClusterUUID  string    `json:"cluster_uuid,omitempty"`
	JobUUID      string    `json:"job_uuid,omitempty"`
	RegisteredAt time.Time `json:"registered_at"`
	HeardAt      time.Time `json:"heard_at"`
	LostAt       time.Time `json:"lost_at,omitzero"`
}

func (a *agent) snapshot() Agent {
	result := Agent{
		UUID: a.uuid, Name: a.name, Hostname: a.hostname, Version: a.version, Tags: a.tags, Connection: a.connection,
		Action: a.action, Ignore: a.ignore, RegisteredAt: a.registeredAt, HeardAt: a.heardAt, LostAt: a.lostAt,
	}
	if a.cluster != nil {
		result.ClusterUUID = a.cluster.uuid
	}
	if a.job != nil {
		result.JobUUID = a.job.uuid
	}
	return result
}

// Register makes an agent for a registration token and returns it with its
// access token.
func (s *Store) Register(identity Identity, request NewAgent) (Agent, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.agents) >= maxAgents {
		return Agent{}, "", unprocessable("the simulator holds %d agents and no more; start it anew", maxAgents)
	}
	now := time.Now()
	a := &agent{
		uuid: newUUID(), name: request.Name, hostname: request.Hostname, version: request.Version,
		cluster: identity.cluster, token: newToken("access"), connection: AgentConnected,
		ignore: request.IgnoreInDispatches, registeredAt: now, heardAt: now,
	}
	a.name = orDefault(a.name, "agent-"+a.uuid[len(a.uuid)-8:])
	queued := false
	for _, tag := range request.Tags {
		tag = pipeline.Rule(tag)
		queued = queued || strings.HasPrefix(tag, queueRule)
		a.tags = append(a.tags, tag)
	}
	if !queued {
		a.tags = append(a.tags, queueRule+s.defaultQueue(a.cluster))
	}
	s.agents = append(s.agents, a)
	s.agentByUUID[a.uuid] = a
	s.tokens[a.token] = Identity{Kind: AccessToken, AgentUUID: a.uuid}
	return a.snapshot(), a.token, nil
}

// matches reports whether the agent's tags satisfy every rule.
func (a *agent) matches(rules []string) bool {
	for _, rule := range rules {
		key, want, _ := strings.Cut(rule, "=")
		if !slices.ContainsFunc(a.tags, func(tag string) bool {
			tagKey, value, _ := strings.Cut(tag, "=")
			return tagKey == key && (value == want || want == "*")
		}) {
			return false
		}
	}
	return true
}

// Heard notes that an agent made a request. A lost one is back.
func (s *Store) Heard(agentUUID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.agentByUUID[agentUUID]; ok {
		a.heardAt = time.Now()
		if a.connection == AgentLost {
			a.connection, a.lostAt = AgentConnected, time.Time{}
		}
	}
}

// Connect marks an agent connected.
func (s *Store) Connect(agentUUID string) { s.setConnection(agentUUID, AgentConnected) }

// Disconnect marks an agent gone. A job that it still has is lost with it.
func (s *Store) Disconnect(agentUUID string) { s.setConnection(agentUUID, AgentDisconnected) }

func (s *Store) setConnection(agentUUID, connection string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.agentByUUID[agentUUID]
	if !ok {
		return
	}
	a.connection = connection
	if connection != AgentConnected {
		s.abandon(a, reasonAgentStop)
	}
}

// DirectAgent sets what pings tell an agent: "" or "idle" go on, "pause",
// "disconnect". "lose" has it lost at once.
func (s *Store) DirectAgent(agentUUID, action string) (Agent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.agentByUUID[agentUUID]
	if !ok {
		return Agent{}, notFound("no agent %q", agentUUID)
	}
	if !slices.Contains([]string{"", "idle", "pause", "disconnect", "lose"}, action) {
		return Agent{}, unprocessable("unknown action %q; know idle, pause, disconnect and lose", action)
	}
	if action == "lose" {
		s.lose(a)
		return a.snapshot(), nil
	}
	if action == "idle" {
		action = ""
	}
	a.action = action
	return a.snapshot(), nil
}

// Agent returns an agent.
func (s *Store) Agent(uuid string) (Agent, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.agentByUUID[uuid]
	if !ok {
		return Agent{}, false
	}
	return a.snapshot(), true
}

// Agents returns all agents, oldest first.
func (s *Store) Agents() []Agent {
	s.mu.Lock()
	defer s.mu.Unlock()
	result := make([]Agent, 0, len(s.agents))
	for _, a := range s.agents {
		result = append(result, a.snapshot())
	}
	return result
}
