//go:build linux

package rundir

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// echo is an agent that answers each line with the same line.
func echo(t *testing.T, directory Directory) {
	t.Helper()
	listener, err := net.Listen("unix", directory.Path(Socket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
}

func newContext(t *testing.T, directory Directory) *Context {
	t.Helper()
	c, err := directory.NewContext(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)

	return c
}

// ask writes a line to a context's socket.
func ask(t *testing.T, c *Context) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", filepath.Join(c.Path(), Socket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		t.Fatal(err)
	}

	return conn
}

// wantAnswer wants the line back.
func wantAnswer(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "hello\n" {
		t.Fatalf("got %q, %v", line, err)
	}
}

func TestContext(t *testing.T) {
	directory := newDirectory(t)
	echo(t, directory)
	c := newContext(t, directory)

	early := ask(t, c)
	_ = early.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := early.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d bytes, %v: want no answer before it is open", n, err)
	}
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, early)
	wantAnswer(t, ask(t, c))

	if err := directory.Write("job-env", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(c.Path(), "job-env")); err != nil {
		t.Error(err)
	}
}

// Each side sees the other's end.
func TestContextEnds(t *testing.T) {
	directory := newDirectory(t)
	agent, err := net.Listen("unix", directory.Path(Socket))
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	for name, end := range map[string]func(client, agent net.Conn) net.Conn{
		"the client's": func(client, agent net.Conn) net.Conn { client.Close(); return agent },
		"the agent's":  func(client, agent net.Conn) net.Conn { agent.Close(); return client },
	} {
		t.Run(name, func(t *testing.T) {
			c := newContext(t, directory)
			client := ask(t, c)
			if err := c.Open(); err != nil {
				t.Fatal(err)
			}
			conn, err := agent.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			left := end(client, conn)
			_ = left.SetReadDeadline(time.Now().Add(5 * time.Second))
			// What nobody has read yet makes it a reset.
			if _, err := io.Copy(io.Discard, left); err != nil && !errors.Is(err, unix.ECONNRESET) {
				t.Errorf("the other side reads: %v", err)
			}
		})
	}
}

// What a container that was restarted finds is replaced.
func TestContextTwice(t *testing.T) {
	directory := newDirectory(t)
	first := newContext(t, directory)
	if err := first.Open(); err != nil {
		t.Fatal(err)
	}
	second := newContext(t, directory)
	echo(t, directory)
	early := ask(t, second)
	if err := second.Open(); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, early)
}
