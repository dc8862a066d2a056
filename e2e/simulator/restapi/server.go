package restapi

import (
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/graphqlapi"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

const maxBodyBytes = 2 << 20

type server struct {
	store   *state.Store
	graphql *graphqlapi.Server
}

// New returns the handler of everything under /v2/, for the tokens that GraphQL
// takes.
func New(store *state.Store, graphql *graphqlapi.Server) http.Handler {
	s := &server{store: store, graphql: graphql}
	mux := http.NewServeMux()
	const organization = "/v2/organizations/{organization}"
	for _, scope := range []string{organization + "/pipelines/{pipeline}/builds/{build}", organization + "/pipelines/{pipeline}/builds/{build}/jobs/{job}", organization + "/jobs/{job}"} {
		mux.Handle("GET "+scope+"/annotations", s.authorized(s.list))
		mux.Handle("POST "+scope+"/annotations", s.authorized(s.create))
		mux.Handle("DELETE "+scope+"/annotations/{annotation}", s.authorized(s.remove))
	}
	mux.Handle("GET "+organization+"/rate_limit", s.authorized(s.rateLimit))
	mux.HandleFunc("GET /v2/access-token", s.accessToken)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusNotFound, problem{"Not Found"})
	})
	return mux
}

type problem struct {
	Message string `json:"message"`
}

func (s *server) authorized(endpoint func(*http.Request) (int, any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || !s.graphql.Takes(token) {
			write(w, http.StatusUnauthorized, problem{"Authentication required. Please supply a valid API Access Token"})
			return
		}
		if r.PathValue("organization") != s.store.Organization().Slug {
			write(w, http.StatusNotFound, problem{"No organization found"})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		status, body, err := endpoint(r)
		if err != nil {
			status = http.StatusInternalServerError
			if refused, ok := errors.AsType[*state.Problem](err); ok {
				status = refused.Status
			}
			body = problem{err.Error()}
		}
		write(w, status, body)
	})
}

// annotation is one in the API's own shape.
type annotation struct {
	ID        string    `json:"id"`
	Context   string    `json:"context"`
	Style     string    `json:"style"`
	Scope     string    `json:"scope"`
	Priority  int       `json:"priority"`
	BodyHTML  string    `json:"body_html"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func present(a state.Annotation) annotation {
	scope := "build"
	if a.JobUUID != "" {
		scope = "job"
	}
	// Buildkite renders Markdown; the simulator only makes it harmless.
	body := "<p>" + html.EscapeString(a.Body) + "</p>\n"
	return annotation{a.UUID, a.Context, a.Style, scope, a.Priority, body, a.CreatedAt, a.UpdatedAt}
}

// scope returns the UUID of the job or build in the path. A build is named by
// its number or its UUID.
func (s *server) scope(r *http.Request) (uuid, job string, err error) {
	job = r.PathValue("job")
	if job != "" {
		return job, job, nil
	}
	named := r.PathValue("build")
	if number, err := strconv.Atoi(named); err == nil {
		if build, ok := s.store.BuildByNumber(r.PathValue("pipeline"), number); ok {
			return build.UUID, "", nil
		}
	}
	if _, ok := s.store.BuildSummary(named); !ok {
		return "", "", &state.Problem{Status: http.StatusNotFound, Message: "No build found"}
	}
	return named, "", nil
}

// annotations returns those of the scope in the path, with the scope.
func (s *server) annotations(r *http.Request) (uuid string, found []state.Annotation, err error) {
	uuid, job, err := s.scope(r)
	if err != nil {
		return "", nil, err
	}
	all, err := s.store.Annotations(uuid)
	for _, a := range all {
		if a.JobUUID == job {
			found = append(found, a)
		}
	}
	return uuid, found, err
}

func (s *server) list(r *http.Request) (int, any, error) {
	_, found, err := s.annotations(r)
	result := []annotation{}
	for _, a := range found {
		result = append(result, present(a))
	}
	return http.StatusOK, result, err
}

func (s *server) create(r *http.Request) (int, any, error) {
	uuid, job, err := s.scope(r)
	if err != nil {
		return 0, nil, err
	}
	var request struct {
		Body     string `json:"body"`
		Style    string `json:"style"`
		Context  string `json:"context"`
		Priority int    `json:"priority"`
		Append   bool   `json:"append"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return 0, nil, &state.Problem{Status: http.StatusBadRequest, Message: "the body is not the JSON expected: " + err.Error()}
	}
	made, err := s.store.Annotate(uuid, state.Annotation{
		Body: request.Body, Style: request.Style, Context: request.Context, Priority: request.Priority, JobUUID: job,
	}, request.Append)
	return http.StatusCreated, present(made), err
}

func (s *server) remove(r *http.Request) (int, any, error) {
	uuid, found, err := s.annotations(r)
	if err != nil {
		return 0, nil, err
	}
	for _, a := range found {
		if a.UUID == r.PathValue("annotation") {
			return http.StatusNoContent, nil, s.store.RemoveAnnotation(uuid, a.Context, a.JobUUID)
		}
	}
	return 0, nil, &state.Problem{Status: http.StatusNotFound, Message: "No annotation found"}
}

// accessToken tells what the token may do: all that the dispatcher's wants.
func (s *server) accessToken(w http.ResponseWriter, r *http.Request) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || !s.graphql.Takes(token) {
		write(w, http.StatusUnauthorized, problem{"Authentication required. Please supply a valid API Access Token"})
		return
	}
	write(w, http.StatusOK, map[string]any{"uuid": "b63254c0-3271-4a98-8270-7cfbd6c2f14e", "scopes": []string{"graphql", "read_builds", "write_builds"}})
}

// rateLimit tells the state of the organization's limit on GraphQL. The
// simulator has none on REST.
func (s *server) rateLimit(*http.Request) (int, any, error) {
	usage := s.graphql.Usage()
	limit := usage.Limits.Organization
	scope := map[string]any{
		"limit": limit, "current": usage.Organization.WindowPoints, "reset": usage.Organization.ResetSeconds,
		"reset_at": time.Now().UTC().Add(time.Duration(usage.Organization.ResetSeconds) * time.Second).Truncate(time.Second),
		"enforced": limit > 0,
	}
	return http.StatusOK, map[string]any{"scopes": map[string]any{"graphql": scope}}, nil
}

func write(w http.ResponseWriter, status int, body any) {
	if body == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
}
