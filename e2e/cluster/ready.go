package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// requestTimeout bounds each question to a program that may hang.
const requestTimeout = 5 * time.Second

// adminClient asks the API server with all rights.
type adminClient struct{ kubernetes.Interface }

func administrator() (adminClient, error) {
	config, err := (&Cluster{Kubeconfig: Kubeconfig}).Config()
	if err != nil {
		return adminClient{}, err
	}
	config.Timeout = requestTimeout
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return adminClient{}, fmt.Errorf("make a client for the cluster: %w", err)
	}
	return adminClient{client}, nil
}

// ready is nil when the API server says that it can serve.
func (c adminClient) ready(ctx context.Context) error {
	if _, err := c.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err != nil {
		return fmt.Errorf("ask %s/readyz: %w", Server, err)
	}
	return nil
}

// usable is nil when a pod that is created now will run and reach services.
func (c adminClient) usable(ctx context.Context) error {
	if err := c.nodeReady(ctx); err != nil {
		return err
	}
	if _, err := c.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{}); err != nil {
		return fmt.Errorf("find the default service account: %w", err)
	}
	return ask(ctx, "http://"+endpoint{loopback, proxyHealthPort}.String()+"/healthz")
}

func (c adminClient) nodeReady(ctx context.Context) error {
	node, err := c.CoreV1().Nodes().Get(ctx, NodeName, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("find the node: %w", err)
	}
	for _, taint := range node.Spec.Taints {
		if taint.Effect == corev1.TaintEffectNoSchedule {
			return fmt.Errorf("the node has the taint %s", taint.Key)
		}
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			if condition.Status == corev1.ConditionTrue {
				return nil
			}
			return fmt.Errorf("the node is not ready: %s", condition.Message)
		}
	}
	return errors.New("the node has no conditions yet")
}

func pingRegistry(ctx context.Context) error { return ask(ctx, "http://"+Registry+"/v2/") }

func pingContainerd(ctx context.Context) error {
	connection, err := (&net.Dialer{Timeout: requestTimeout}).DialContext(ctx, "unix", containerdSocket)
	if err != nil {
		return fmt.Errorf("connect to containerd: %w", err)
	}
	return connection.Close()
}

// ask is nil when the URL answers with 200.
func ask(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask %s: %s", url, response.Status)
	}
	return nil
}
