package page

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strconv"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/fault"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/graphqlapi"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/logtext"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

//go:embed templates/*.html
var files embed.FS

const (
	// buildsShown, agentsShown and faultsShown bound the first page.
	buildsShown = 50
	agentsShown = 20
	faultsShown = 20
	// logShown is how much of a log's end a page shows, in bytes.
	logShown = 256 << 10
)

// Sources are what the pages show beside the store. All are required.
type Sources struct {
	Usage  func() graphqlapi.Usage
	Faults func() []fault.Fault
}

type server struct {
	Sources
	store              *state.Store
	builds, build, job *template.Template
}

// view is what templates see.
type view struct {
	Title, Organization string
	Builds              []state.Build
	Agents              []state.Agent
	Build               state.Build
	BuildPath           string
	Job                 state.Job
	Record              state.Record
	Annotations         []state.Annotation
	Artifacts           []state.Artifact
	Log                 template.HTML
	Cut                 bool
	Usage               graphqlapi.Usage
	Faults              []fault.Fault
	Verdict             state.Verdict
}

// New returns the handler of the pages: the builds at /, a build at
// /organization/pipeline/builds/number, a job at /jobs/uuid.
func New(store *state.Store, sources Sources) http.Handler {
	parse := func(name string) *template.Template {
		return template.Must(template.New(name).Funcs(functions).ParseFS(files, "templates/layout.html", "templates/"+name))
	}
	s := &server{Sources: sources, store: store, builds: parse("builds.html"), build: parse("build.html"), job: parse("job.html")}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.showBuilds)
	mux.HandleFunc("GET /{organization}/{pipeline}/builds/{number}", s.showBuild)
	mux.HandleFunc("GET /jobs/{job}", s.showJob)
	return mux
}

func (s *server) showBuilds(w http.ResponseWriter, r *http.Request) {
	agents := s.store.Agents()
	shown := make([]state.Agent, 0, agentsShown)
	for i := len(agents) - 1; i >= 0 && len(shown) < agentsShown; i-- {
		shown = append(shown, agents[i])
	}
	faults := s.Faults()
	faults = faults[max(0, len(faults)-faultsShown):]
	s.render(w, r, s.builds, view{
		Title: "Builds", Builds: s.store.Builds(buildsShown), Agents: shown, Usage: s.Usage(), Faults: faults, Verdict: s.store.Verdict(),
	})
}

func (s *server) showBuild(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.Atoi(r.PathValue("number"))
	build, ok := s.store.BuildByNumber(r.PathValue("pipeline"), number)
	if err != nil || !ok || r.PathValue("organization") != s.store.Organization().Slug {
		http.NotFound(w, r)
		return
	}
	v := view{Title: build.PipelineSlug + " #" + strconv.Itoa(build.Number), Build: build}
	v.Annotations, _ = s.store.Annotations(build.UUID) // the build was there a moment ago
	v.Artifacts, _ = s.store.SearchArtifacts(build.UUID, state.ArtifactSearch{Duplicates: true})
	s.render(w, r, s.build, v)
}

func (s *server) showJob(w http.ResponseWriter, r *http.Request) {
	job, ok := s.store.Job(r.PathValue("job"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	v := view{Title: jobName(job), Job: job}
	v.BuildPath = buildPath(s.store.Organization().Slug, state.Build{PipelineSlug: job.PipelineSlug, Number: job.BuildNumber})
	v.Record, _ = s.store.Record(job.UUID)
	v.Artifacts, _ = s.store.SearchArtifacts(job.UUID, state.ArtifactSearch{Scope: job.UUID, Duplicates: true})
	log, _ := s.store.Log(job.UUID)
	if v.Cut = len(log) > logShown; v.Cut {
		log = log[len(log)-logShown:]
		if at := bytes.IndexByte(log, '\n'); at >= 0 {
			log = log[at+1:]
		}
	}
	v.Log = logtext.HTML(log)
	s.render(w, r, s.job, v)
}

// render writes the whole page, or with ?fragment=1 what changes.
func (s *server) render(w http.ResponseWriter, r *http.Request, page *template.Template, v view) {
	v.Organization = s.store.Organization().Slug
	name := "layout"
	if r.URL.Query().Get("fragment") != "" {
		name = "content"
	}
	var out bytes.Buffer
	if err := page.ExecuteTemplate(&out, name, v); err != nil {
		http.Error(w, "render page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(out.Bytes())
}
