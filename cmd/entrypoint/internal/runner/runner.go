// Package runner speaks to the agent's Kubernetes runner over its Unix socket.
//
// The runner is a net/rpc server (encoding/gob, after an HTTP CONNECT). Its
// protocol is spoken by hand here, because net/rpc brings net/http with it and
// would double the size of a program that every pod copies.
//
// Source of the protocol: kubernetes/runner.go of github.com/buildkite/agent/v3
// v3.138.1. Neither of the two calls used needs a registration.
package runner

import (
	"bufio"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"sync"
	"time"
)

// callTimeout bounds one call: the runner answers from memory.
const callTimeout = 10 * time.Second

// Client is a connection to the runner. Its methods may be called by several
// goroutines at once.
type Client struct {
	mutex    sync.Mutex
	conn     net.Conn
	encoder  *gob.Encoder
	decoder  *gob.Decoder
	sequence uint64
}

// Dial connects to the socket at path. The socket's file appears an instant
// before anybody listens on it, so a refusal is tried again until ctx ends. The
// error is then that of the last attempt that was not cut short.
func Dial(ctx context.Context, path string) (*Client, error) {
	const retry = 2 * time.Millisecond
	var last error
	for {
		client, err := dial(ctx, path)
		if err == nil {
			return client, nil
		}
		if last == nil || !errors.Is(err, context.DeadlineExceeded) {
			last = err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connect to the agent at %s: %w", path, last)
		case <-time.After(retry):
		}
	}
}

func dial(ctx context.Context, path string) (*Client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(callTimeout))
	reader, err := handshake(conn)
	if err != nil {
		conn.Close()

		return nil, err
	}

	return &Client{conn: conn, encoder: gob.NewEncoder(conn), decoder: gob.NewDecoder(reader)}, nil
}

// handshake asks for the RPC protocol and reads the answer's head.
func handshake(conn io.ReadWriter) (*bufio.Reader, error) {
	if _, err := io.WriteString(conn, "CONNECT /_goRPC_ HTTP/1.0\r\n\r\n"); err != nil {
		return nil, fmt.Errorf("ask for the runner's protocol: %w", err)
	}
	reader := bufio.NewReader(conn)
	status, err := reader.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("ask for the runner's protocol: %w", err)
	}
	if !strings.Contains(status, " 200 ") {
		return nil, fmt.Errorf("ask for the runner's protocol: unexpected answer %q", strings.TrimSpace(status))
	}
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("ask for the runner's protocol: %w", err)
		}
		if strings.TrimSpace(line) == "" {
			return reader, nil
		}
	}
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// The messages; gob matches structs by their fields' names.
type (
	request struct {
		ServiceMethod string
		Seq           uint64
	}
	response struct {
		ServiceMethod string
		Seq           uint64
		Error         string
	}
	logs struct{ Data []byte }
	exit struct{ ID, ExitStatus int }
)

// WriteLogs appends text to the job's log. It also tells the agent that the job
// is under way, from when on the agent looks for a cancellation.
func (c *Client) WriteLogs(text string) error {
	return c.call("Runner.WriteLogs", logs{Data: []byte(text)})
}

// Exit reports that the client with this id ended. A status other than 0 ends
// the job at once; the job's status is that of the lowest id that has one. The
// agent may end before it has answered, which is no error then.
func (c *Client) Exit(id, status int) error {
	err := c.call("Runner.Exit", exit{ID: id, ExitStatus: status})
	if errors.Is(err, io.EOF) {
		return nil
	}

	return err
}

// call makes one call whose reply is of no interest. After an error that is not
// the runner's own answer the connection is of no further use.
func (c *Client) call(method string, arguments any) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	_ = c.conn.SetDeadline(time.Now().Add(callTimeout))

	c.sequence++
	if err := c.encoder.Encode(request{ServiceMethod: method, Seq: c.sequence}); err != nil {
		return fmt.Errorf("call %s: %w", method, err)
	}
	if err := c.encoder.Encode(arguments); err != nil {
		return fmt.Errorf("call %s: %w", method, err)
	}

	var answer response
	if err := c.decoder.Decode(&answer); err != nil {
		return fmt.Errorf("call %s: %w", method, err)
	}
	// The zero Value skips the reply, whatever it is.
	if err := c.decoder.DecodeValue(reflect.Value{}); err != nil {
		return fmt.Errorf("call %s: %w", method, err)
	}
	if answer.Seq != c.sequence {
		return fmt.Errorf("call %s: answer %d to call %d", method, answer.Seq, c.sequence)
	}
	if answer.Error != "" {
		return fmt.Errorf("call %s: %w", method, errors.New(answer.Error))
	}

	return nil
}
