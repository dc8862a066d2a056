package agentapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// maxBodyBytes bounds the body of every request but artifacts.
const maxBodyBytes = 16 << 20

// Options configure the API. Zero intervals become one second: the agent
// panics on an interval of zero.
type Options struct {
	PingInterval, JobStatusInterval, HeartbeatInterval time.Duration
	// PublicURL is where agents reach the simulator.
	PublicURL string
	// Secrets are what `buildkite-agent secret get` finds.
	Secrets map[string]string
}

type server struct {
	store      *state.Store
	options    Options
	signingKey []byte
}

// nothing is the answer where there is nothing to say.
type nothing struct{}

// call is a request whose token has been checked.
type call struct {
	*http.Request
	response http.ResponseWriter
	identity state.Identity
}

// endpoint answers a call with what becomes the JSON body, which the agent
// decodes whatever it is: nothing is {}.
type endpoint func(*call) (any, error)

// New returns the handler of everything under /v3/.
func New(store *state.Store, options Options) http.Handler {
	s := &server{store: store, options: options, signingKey: newKey()}
	mux := http.NewServeMux()
	handle := func(pattern string, handler endpoint, kinds ...state.TokenKind) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.Handle(method+" /v3/"+path, s.authorized(handler, kinds))
	}
	s.agentRoutes(handle)
	s.jobRoutes(handle)
	s.contentRoutes(handle)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, &state.Problem{Status: http.StatusNotFound, Message: "No such endpoint: " + r.Method + " " + r.URL.Path})
	})
	return mux
}

// authorized lets requests pass whose token is of one of the kinds and, when the
// path names a job, may act for that job.
func (s *server) authorized(handler endpoint, kinds []state.TokenKind) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		identity, err := s.identify(r, kinds)
		if err != nil {
			writeError(w, err)
			return
		}
		if identity.Kind == state.AccessToken {
			s.store.Heard(identity.AgentUUID)
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		result, err := handler(&call{Request: r, response: w, identity: identity})
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, result)
	})
}

func (s *server) identify(r *http.Request, kinds []state.TokenKind) (state.Identity, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Token ")
	identity, known := s.store.Identify(token)
	if !ok || !known {
		return identity, &state.Problem{Status: http.StatusUnauthorized, Message: "Authentication required: the token is missing or unknown"}
	}
	// The job's own token is what the agent uses for everything about a job; its
	// core package uses the access token for the same.
	acceptable := slices.Contains(kinds, identity.Kind) ||
		(identity.Kind == state.AccessToken && slices.Contains(kinds, state.JobToken))
	if !acceptable {
		return identity, &state.Problem{
			Status:  http.StatusUnauthorized,
			Message: fmt.Sprintf("Authentication required: %s %s does not take %s tokens", r.Method, r.URL.Path, identity.Kind),
		}
	}
	if job := r.PathValue("job"); job != "" && slices.Contains(kinds, state.JobToken) {
		return identity, s.store.AuthorizeJob(identity, job)
	}
	return identity, nil
}

// decode reads a JSON body.
func (c *call) decode(into any) error {
	err := json.NewDecoder(c.Body).Decode(into)
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &large):
		return &state.Problem{Status: http.StatusRequestEntityTooLarge, Message: err.Error()}
	case errors.Is(err, io.EOF):
		return &state.Problem{Status: http.StatusUnprocessableEntity, Message: "the body is empty; JSON is expected"}
	default:
		return &state.Problem{Status: http.StatusBadRequest, Message: "the body is not the JSON expected: " + err.Error()}
	}
}

func writeJSON(w http.ResponseWriter, result any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(result); err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
}

func writeError(w http.ResponseWriter, err error) {
	var problem *state.Problem
	if !errors.As(err, &problem) {
		problem = &state.Problem{Status: http.StatusInternalServerError, Message: err.Error()}
	}
	if problem.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(problem.RetryAfter.Seconds()))))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(problem.Status)
	writeJSON(w, map[string]string{"message": problem.Message})
}

// seconds returns a whole number of seconds, at least one.
func seconds(interval time.Duration) int {
	return max(1, int(interval/time.Second))
}
