package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"slices"
	"strings"

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
}

// plurals are the resources of kinds whose name is not just the kind with an s.
var plurals = map[string]string{
	"ValidatingAdmissionPolicy": "validatingadmissionpolicies",
}

// apiserver is a command of scripts: apiserver FILE... serves the objects in the
// files, and writes a kubeconfig for it.
func apiserver(script *testscript.TestScript, _ bool, files []string) {
	server := &recorded{}
	for _, file := range files {
		for document := range strings.SplitSeq(script.ReadFile(file), "\n---\n") {
			var one object
			script.Check(yaml.Unmarshal([]byte(document), &one))
			if len(one) > 0 {
				server.objects = append(server.objects, one)
			}
		}
	}
	server.refuses = script.Getenv("REFUSES")
	listener := httptest.NewServer(server)
	script.Defer(listener.Close)
	kubeconfig := `{apiVersion: v1, kind: Config, current-context: recorded,
contexts: [{name: recorded, context: {cluster: recorded, user: recorded}}],
clusters: [{name: recorded, cluster: {server: "` + listener.URL + `"}}], users: [{name: recorded, user: {}}]}`
	script.Check(os.WriteFile(script.MkAbs("kubeconfig"), []byte(kubeconfig), 0o600))
	script.Setenv("KUBECONFIG", script.MkAbs("kubeconfig"))
	script.Setenv("SERVER", listener.URL)
}

// ServeHTTP implements http.Handler.
func (s *recorded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/version":
		writeJSON(w, http.StatusOK, object{"gitVersion": "v1.37.2"})
	case strings.HasSuffix(r.URL.Path, "/log"):
		s.log(w, path.Base(path.Dir(r.URL.Path)))
	case r.Method == http.MethodPost:
		s.create(w, r)
	default:
		s.read(w, r)
	}
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
