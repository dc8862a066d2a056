package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/admission"
)

// object is any of an API.
type object = map[string]any

// recorded serves objects as an API server serves them, so that what the commands
// print can be written down. It is no cluster: whether they read a real one right
// is for the end-to-end tests.
type recorded struct {
	objects []object
	// refuses is the API server's answer to a new pod, if not empty.
	refuses string
	// version is Kubernetes'.
	version string
}

// plurals are the resources of kinds whose name is not just the kind with an s.
var plurals = map[string]string{
	"ValidatingAdmissionPolicy": "validatingadmissionpolicies",
}

// recordedMonth is when the certificate of the recorded objects begins.
var recordedMonth = time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC)

// apiserver is a command of scripts: apiserver FILE... serves the objects in the
// files, and writes a kubeconfig for it. In the files $SERVER is its address, and
// $TLS_CRT and $TLS_KEY are a certificate of December 2025 for the Service mutator
// in the namespace elsewhere.
func apiserver(script *testscript.TestScript, _ bool, files []string) {
	server := &recorded{}
	listener := httptest.NewServer(server)
	script.Defer(listener.Close)
	certificate, key, err := servingCertificate("mutator.elsewhere.svc", recordedMonth, recordedMonth.AddDate(0, 1, -1))
	script.Check(err)
	variables := strings.NewReplacer("$SERVER", listener.URL, "$TLS_CRT", certificate, "$TLS_KEY", key)
	for _, file := range files {
		text := variables.Replace(script.ReadFile(file))
		for document := range strings.SplitSeq(text, "\n---\n") {
			var one object
			script.Check(yaml.Unmarshal([]byte(document), &one))
			if len(one) > 0 {
				server.objects = append(server.objects, one)
			}
		}
	}
	server.refuses = script.Getenv("REFUSES")
	server.version = cmp.Or(script.Getenv("KUBERNETES"), "v1.37.2")
	kubeconfig := `{apiVersion: v1, kind: Config, current-context: recorded,
contexts: [{name: recorded, context: {cluster: recorded, user: recorded}}],
clusters: [{name: recorded, cluster: {server: "` + listener.URL + `"}}], users: [{name: recorded, user: {}}]}`
	script.Check(os.WriteFile(script.MkAbs("kubeconfig"), []byte(kubeconfig), 0o600))
	script.Setenv("KUBECONFIG", script.MkAbs("kubeconfig"))
}

// ServeHTTP implements http.Handler.
func (s *recorded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/version":
		writeJSON(w, http.StatusOK, object{"gitVersion": s.version})
	case r.URL.Path == "/graphql", r.URL.Path == "/v2/access-token":
		s.buildkite(w, r)
	case strings.HasSuffix(r.URL.Path, "/log"):
		s.log(w, path.Base(path.Dir(r.URL.Path)))
	case r.Method == http.MethodPost:
		s.create(w, r)
	default:
		s.read(w, r)
	}
}

// buildkite answers with what an object of the kind Buildkite has, by the query's
// name, and for the token with its scopes.
func (s *recorded) buildkite(w http.ResponseWriter, r *http.Request) {
	index := slices.IndexFunc(s.objects, func(one object) bool { return one["kind"] == "Buildkite" })
	if index < 0 {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodGet {
		writeJSON(w, http.StatusOK, object{"scopes": s.objects[index]["scopes"]})
		return
	}
	var query struct {
		OperationName string `json:"operationName"`
	}
	if err := json.NewDecoder(r.Body).Decode(&query); err != nil {
		panic(err)
	}
	headers, _ := s.objects[index]["headers"].(object)
	for name, value := range headers {
		text, _ := value.(string)
		w.Header().Set(name, text)
	}
	answers, _ := s.objects[index]["answers"].(object)
	writeJSON(w, http.StatusOK, object{"data": answers[query.OperationName]})
}

func (s *recorded) log(w http.ResponseWriter, pod string) {
	for _, one := range s.objects {
		if one["kind"] == "Log" && nameOf(one) == pod {
			text, _ := one["text"].(string)
			_, _ = io.WriteString(w, text)
		}
	}
}

// create answers for reviews of access and for pods in a dry run.
func (s *recorded) create(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if strings.HasSuffix(r.URL.Path, "subjectaccessreviews") {
		writeJSON(w, http.StatusCreated, object{"status": object{"allowed": true}})
		return
	}
	if s.refuses != "" {
		writeStatus(w, http.StatusForbidden, s.refuses)
		return
	}
	config, err := admission.ReadConfig("", "recorded")
	if err != nil {
		panic(err)
	}
	outcome, errs, err := admission.Review(config, body)
	if err != nil || len(errs) > 0 {
		writeStatus(w, http.StatusUnprocessableEntity, errs.ToAggregate().Error())
		return
	}
	_, _ = io.Copy(w, bytes.NewReader(outcome.Pod))
}

// read finds by the path's parts: …[/namespaces/NAMESPACE]/RESOURCE[/NAME].
func (s *recorded) read(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	parts = parts[map[bool]int{true: 2, false: 3}[parts[0] == "api"]:]
	namespace := ""
	if len(parts) > 2 && parts[0] == "namespaces" {
		namespace, parts = parts[1], parts[2:]
	}
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		panic(err)
	}
	found := []object{}
	for _, one := range s.objects {
		metadata, _ := one["metadata"].(object)
		kind, _ := one["kind"].(string)
		plural := plurals[kind]
		if plural == "" {
			plural = strings.ToLower(kind) + "s"
		}
		own, _ := metadata["namespace"].(string)
		if plural != parts[0] || namespace != "" && own != namespace || !selector.Matches(labelsOf(metadata)) {
			continue
		}
		found = append(found, one)
	}
	if len(parts) == 1 {
		writeJSON(w, http.StatusOK, object{"items": found})
		return
	}
	index := slices.IndexFunc(found, func(one object) bool { return nameOf(one) == parts[1] })
	if index < 0 {
		writeStatus(w, http.StatusNotFound, parts[0]+` "`+parts[1]+`" not found`)
		return
	}
	writeJSON(w, http.StatusOK, found[index])
}

func nameOf(one object) string {
	metadata, _ := one["metadata"].(object)
	name, _ := metadata["name"].(string)
	return name
}

func labelsOf(metadata object) labels.Set {
	set := labels.Set{}
	all, _ := metadata["labels"].(object)
	for key, value := range all {
		set[key], _ = value.(string)
	}
	return set
}

func writeStatus(w http.ResponseWriter, code int, message string) {
	reason := map[int]string{http.StatusNotFound: "NotFound", http.StatusForbidden: "Forbidden"}[code]
	writeJSON(w, code, object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message})
}

func writeJSON(w http.ResponseWriter, code int, value any) {
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(value); err != nil {
		panic(http.ErrAbortHandler)
	}
}
