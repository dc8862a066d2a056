//go:build linux

package rundir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// closeTimeout bounds the wait for what a client has written last.
const closeTimeout = time.Second

// Context is a job context directory of one container's own, which keeps the agent's
// client waiting. Until Open it has nothing but a socket that nobody answers on. From
// then on it is the shared directory, and who has connected is connected to the
// agent.
//
// So a client can be started ahead of its turn. Connected to the agent itself it
// would ask once per second whether it is its turn; without a socket it would look
// for one once per second; and here it is there in an instant.
type Context struct {
	directory Directory
	link      string
	waiting   string
	listener  *net.UnixListener
	forwarded sync.WaitGroup
}

// NewContext makes the context directory of the wrapped container with this id. What
// the container before a restart has left there is replaced.
func (d Directory) NewContext(id int) (*Context, error) {
	name := "client-" + strconv.Itoa(id)
	c := &Context{directory: d, link: d.Path(name + ".context"), waiting: d.Path(name + ".waiting")}
	if err := errors.Join(os.RemoveAll(c.waiting), os.RemoveAll(c.link)); err != nil {
		return nil, fmt.Errorf("make a context directory: %w", err)
	}
	if err := os.Mkdir(c.waiting, 0o700); err != nil {
		return nil, fmt.Errorf("make a context directory: %w", err)
	}
	var err error
	address := &net.UnixAddr{Net: "unix", Name: filepath.Join(c.waiting, Socket)}
	if c.listener, err = net.ListenUnix("unix", address); err != nil {
		return nil, fmt.Errorf("make a context directory: %w", err)
	}
	if err := os.Symlink(filepath.Base(c.waiting), c.link); err != nil {
		c.listener.Close()

		return nil, fmt.Errorf("make a context directory: %w", err)
	}

	return c, nil
}

// Path is the directory's path.
func (c *Context) Path() string { return c.link }

// Open makes it the shared directory. Call it once.
func (c *Context) Open() error {
	next := c.link + ".next"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open a context directory: %w", err)
	}
	if err := os.Symlink(".", next); err != nil {
		return fmt.Errorf("open a context directory: %w", err)
	}
	if err := os.Rename(next, c.link); err != nil {
		return fmt.Errorf("open a context directory: %w", err)
	}
	c.forwarded.Go(c.forward)

	return nil
}

// forward connects everybody who has connected here to the agent.
func (c *Context) forward() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.forwarded.Go(func() { c.connect(client) })
	}
}

// connect copies in both directions until one side has gone, which then is the end
// for the other one too: each sees what it would see without us.
func (c *Context) connect(client net.Conn) {
	defer client.Close()
	agent, err := net.Dial("unix", c.directory.Path(Socket)) //nolint:noctx // a Unix socket answers at once or not at all
	if err != nil {
		return
	}
	defer agent.Close()
	ended := make(chan struct{}, 2)
	for _, way := range []struct{ to, from net.Conn }{{agent, client}, {client, agent}} {
		go func() {
			_, _ = io.Copy(way.to, way.from)
			ended <- struct{}{}
		}()
	}
	<-ended
}

// Close ends it; call it once the client has ended. The agent has then got what the
// client wrote, unless it does not read.
func (c *Context) Close() {
	c.listener.Close()
	done := make(chan struct{})
	go func() {
		c.forwarded.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(closeTimeout):
	}
}
