package agentapi

import (
	"time"

	"github.com/buildkite/agent/v3/api"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

type addRoute func(pattern string, handler endpoint, kinds ...state.TokenKind)

// agentRoutes are about an agent itself.
func (s *server) agentRoutes(handle addRoute) {
	handle("POST register", s.register, state.RegistrationToken)
	handle("GET token", s.token, state.RegistrationToken)
	handle("POST connect", s.connect, state.AccessToken)
	handle("POST disconnect", s.disconnect, state.AccessToken)
	handle("POST stop", s.stop, state.AccessToken)
	handle("POST heartbeat", s.heartbeat, state.AccessToken)
	handle("GET ping", s.ping, state.AccessToken)
}

func (s *server) register(c *call) (any, error) {
	var request api.AgentRegisterRequest
	if err := c.decode(&request); err != nil {
		return nil, err
	}
	agent, token, err := s.store.Register(c.identity, state.NewAgent{
		Name: request.Name, Hostname: request.Hostname, Version: request.Version,
		Tags: request.Tags, IgnoreInDispatches: request.IgnoreInDispatches,
	})
	if err != nil {
		return nil, err
	}
	return api.AgentRegisterResponse{
		UUID: agent.UUID, Name: agent.Name, AccessToken: token, Tags: agent.Tags,
		PingInterval:      seconds(s.options.PingInterval),
		JobStatusInterval: seconds(s.options.JobStatusInterval),
		HeartbeatInterval: seconds(s.options.HeartbeatInterval),
	}, nil
}

func (s *server) token(c *call) (any, error) {
	described := s.store.DescribeToken(c.identity)
	return api.AgentTokenIdentity{
		UUID: described.Organization.UUID, Description: "simulator", TokenType: "registration",
		OrganizationSlug: described.Organization.Slug, OrganizationUUID: described.Organization.UUID,
		ClusterUUID: described.ClusterUUID, ClusterName: described.ClusterName,
	}, nil
}

func (s *server) connect(c *call) (any, error) {
	s.store.Connect(c.identity.AgentUUID)
	return nothing{}, nil
}

func (s *server) disconnect(c *call) (any, error) {
	s.store.Disconnect(c.identity.AgentUUID)
	return nothing{}, nil
}

// stop is an agent that asks to be told to disconnect.
func (s *server) stop(c *call) (any, error) {
	_, err := s.store.DirectAgent(c.identity.AgentUUID, "disconnect")
	return nothing{}, err
}

func (s *server) heartbeat(c *call) (any, error) {
	var request api.Heartbeat
	if err := c.decode(&request); err != nil {
		return nil, err
	}
	request.ReceivedAt = time.Now().Format(time.RFC3339Nano)
	return request, nil
}

func (s *server) ping(c *call) (any, error) {
	action, jobUUID := s.store.Ping(c.identity.AgentUUID)
	response := map[string]any{}
	if action != "" {
		response["action"] = action
	}
	if jobUUID != "" {
		response["job"] = map[string]string{"id": jobUUID, "state": string(state.Assigned)}
	}
	return response, nil
}
