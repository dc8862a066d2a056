// Package cluster reads objects of a Kubernetes cluster for people's commands. It
// is a few calls on the REST client: a clientset would link every API that
// Kubernetes has.
package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// Client speaks with one API server. It is safe for concurrent use.
type Client struct {
	rest rest.Interface
	// Server is the API server's address, for people.
	Server string
	// Context is the name of the kubeconfig's context, or "".
	Context string
	// Namespace is the one that the context names, or "default".
	Namespace string
}

// New makes a client of a configuration. It asks for nothing yet.
func New(config *rest.Config) (*Client, error) {
	config = rest.CopyConfig(config)
	scheme := runtime.NewScheme()
	// Answers that are errors are of this group.
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.AcceptContentTypes, config.ContentType = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	config.QPS, config.Burst = -1, -1
	client, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", config.Host, err)
	}
	return &Client{rest: client, Server: config.Host}, nil
}

// Get reads what is at a path, such as /api/v1/namespaces/x/pods/y, into an
// object or a list. Parameters are pairs of names and values.
func (c *Client) Get(ctx context.Context, into any, path string, parameters ...string) error {
	raw, err := c.Raw(ctx, path, parameters...)
	if err != nil {
		return err
	}
	return decode(raw, into, path)
}

// Raw reads what is at a path as it comes, such as a log.
func (c *Client) Raw(ctx context.Context, path string, parameters ...string) ([]byte, error) {
	request := c.rest.Get().AbsPath(path)
	for i := 0; i+1 < len(parameters); i += 2 {
		request = request.Param(parameters[i], parameters[i+1])
	}
	raw, err := send(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return raw, nil
}

// send returns the answer's body. An error is the API server's own Status, which
// only Error reads.
func send(ctx context.Context, request *rest.Request) ([]byte, error) {
	result := request.Do(ctx)
	if err := result.Error(); err != nil {
		return nil, err
	}
	return result.Raw()
}

// Create posts an object and reads the answer. In a dry run everything is
// checked and nothing is kept.
func (c *Client) Create(ctx context.Context, object, into any, path string, dryRun bool) error {
	body, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("write the object for %s: %w", path, err)
	}
	request := c.rest.Post().AbsPath(path).SetHeader("Content-Type", runtime.ContentTypeJSON).Body(body)
	if dryRun {
		request = request.Param("dryRun", metav1.DryRunAll)
	}
	raw, err := send(ctx, request)
	if err != nil {
		return fmt.Errorf("create at %s: %w", path, err)
	}
	return decode(raw, into, path)
}

func decode(raw []byte, into any, path string) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read the answer for %s: %w", path, err)
	}
	return nil
}

// Path joins the parts of a path and leaves out empty ones.
func Path(parts ...string) string {
	var path strings.Builder
	for _, part := range parts {
		if part != "" {
			path.WriteString("/" + part)
		}
	}
	return path.String()
}

// Core is the path of resources of the core group in a namespace, or of those
// in all if it is empty.
func Core(namespace string, more ...string) string {
	return namespaced([]string{"api", "v1"}, namespace, more)
}

// Group is the same of another group, such as apps/v1.
func Group(group, namespace string, more ...string) string {
	return namespaced([]string{"apis", group}, namespace, more)
}

func namespaced(root []string, namespace string, more []string) string {
	if namespace != "" {
		root = append(root, "namespaces", namespace)
	}
	return Path(append(root, more...)...)
}
