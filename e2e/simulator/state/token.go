package state

// TokenKind tells Buildkite's agent tokens apart.
type TokenKind int

// Kinds of tokens.
const (
	// RegistrationToken is for tokens that register agents and say who they belong to.
	RegistrationToken TokenKind = iota + 1
	// AccessToken is for an agent's own: connect, ping, heartbeat, acquire.
	AccessToken
	// JobToken is for everything about one job after it was acquired.
	JobToken
)

func (k TokenKind) String() string {
	switch k {
	case RegistrationToken:
		return "registration"
	case AccessToken:
		return "access"
	case JobToken:
		return "job"
	default:
		return "unknown"
	}
}

// Identity is who a token speaks for.
type Identity struct {
	Kind TokenKind
	// AgentUUID is set for access tokens, and for job tokens: the job's agent.
	AgentUUID string
	// JobUUID is set for job tokens.
	JobUUID string

	cluster *cluster
}

// SetAgentToken has a token register agents of a cluster, which is a name, a UUID,
// empty for the first or Unclustered, or with revoked has it register none any
// more. Agents that are registered already go on.
func (s *Store) SetAgentToken(token, clusterName string, revoked bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, taken := s.tokens[token]
	switch {
	case token == "":
		return unprocessable("name the token")
	case taken && known.Kind != RegistrationToken:
		return unprocessable("that is no agent token")
	case revoked && !taken:
		return notFound("no such agent token")
	case revoked:
		delete(s.tokens, token)
		return nil
	}
	var c *cluster
	if clusterName == "" {
		c = s.firstCluster()
	} else if clusterName != Unclustered {
		if c = s.cluster(clusterName); c == nil {
			return notFound("no cluster %q", clusterName)
		}
	}
	s.tokens[token] = Identity{Kind: RegistrationToken, cluster: c}
	return nil
}

// Identify returns who token speaks for.
func (s *Store) Identify(token string) (Identity, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	identity, ok := s.tokens[token]
	return identity, ok
}

// AuthorizeJob returns nil when identity may act for the job: by the job's own
// token or, as the agent's core package does, by the access token of the agent
// that acquired it.
func (s *Store) AuthorizeJob(identity Identity, jobUUID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobByUUID[jobUUID]
	if !ok {
		return notFound("No job found")
	}
	switch {
	case identity.Kind == JobToken && identity.JobUUID == jobUUID:
		return nil
	case identity.Kind == AccessToken && j.agent != nil && j.agent.uuid == identity.AgentUUID && j.token != "":
		return nil
	default:
		return unauthorized("this %s token does not belong to job %s", identity.Kind, jobUUID)
	}
}

// TokenIdentity describes a registration token.
type TokenIdentity struct {
	Organization Organization
	ClusterUUID  string
	ClusterName  string
}

// DescribeToken returns what a registration token registers agents with.
func (s *Store) DescribeToken(identity Identity) TokenIdentity {
	result := TokenIdentity{Organization: s.Organization()}
	if identity.cluster != nil {
		result.ClusterUUID, result.ClusterName = identity.cluster.uuid, identity.cluster.name
	}
	return result
}
