//go:build linux

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/buildkite/agent/v3/kubernetes"
	"github.com/buildkite/agent/v3/logger"
	"github.com/buildkite/shellwords"
)

// This file is a small agent: the real agent's Kubernetes runner and client, so
// the real socket and protocol, without Buildkite. The environment says what
// Buildkite would.
const (
	agentJobEnv      = "TEST_JOB_ENV"       // the job's environment as JSON; unset: there is no job
	agentDelay       = "TEST_ACQUIRE_DELAY" // how long acquiring takes
	agentResult      = "TEST_RESULT"        // where to leave the job's log and status
	agentFinishFails = "TEST_FINISH_FAILS"  // Buildkite does not take the result
	agentCheckout    = "TEST_CHECKOUT"      // what the checkout runs
	agentGrace       = "TEST_GRACE"         // how long a cancelled command goes on
	agentCancelFile  = "TEST_CANCEL"        // Buildkite cancels the job once this file is there
	agentTokenCopy   = "TEST_TOKEN"         // where to leave the token that it registers with
	agentPatience    = "TEST_PATIENCE"      // how long the client waits for an answer; unset: for ever
)

// impatience is what a client says that waits no longer.
const impatience = "nobody answers"

// result is what Buildkite would have got.
type result struct {
	Log    string `json:"log"`
	Status int    `json:"status"`
}

func agentMain(subcommand string) int {
	switch subcommand {
	case "start":
		return agentStart()
	case "kubernetes-bootstrap":
		return agentBootstrap()
	default:
		fmt.Fprintf(os.Stderr, "unexpected subcommand %q\n", subcommand)

		return 99
	}
}

func agentStart() int {
	// As in clicommand/register_token.go, and as early as there.
	if path, inFile := strings.CutPrefix(os.Getenv("BUILDKITE_AGENT_TOKEN"), "file://"); inFile {
		token, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(os.Getenv(agentTokenCopy), token, 0o600)
		}
		if err != nil {
			fmt.Println(err)

			return 93
		}
	}
	time.Sleep(duration(agentDelay))
	environment, ok := os.LookupEnv(agentJobEnv)
	if !ok {
		fmt.Println("no job for so long")

		return 0
	}
	directory := os.Getenv("BUILDKITE_JOB_CONTEXT_DIR")
	file, err := os.CreateTemp(directory, "job-env-json-0000")
	if err != nil {
		fmt.Println(err)

		return 98
	}
	defer os.Remove(file.Name())
	fmt.Fprintln(file, environment)

	var job map[string]string
	if err := json.Unmarshal([]byte(environment), &job); err != nil {
		fmt.Println(err)

		return 98
	}

	return runJob(directory, job)
}

func runJob(directory string, job map[string]string) int {
	count, err := strconv.Atoi(os.Getenv("BUILDKITE_CONTAINER_COUNT"))
	if err != nil {
		fmt.Println(err)

		return 0
	}
	passed := []string{"FROM_AGENT=yes"}
	for name, value := range job {
		passed = append(passed, name+"="+value)
	}
	var jobLog strings.Builder
	runner := kubernetes.NewRunner(logger.Discard, kubernetes.RunnerConfig{
		SocketPath:        kubernetes.SocketPath(directory),
		ClientCount:       count,
		Stdout:            &jobLog,
		Stderr:            &jobLog,
		Env:               passed,
		ClientLostTimeout: 30 * time.Second,
	})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		<-signals
		_ = runner.Interrupt()
		time.Sleep(300*time.Millisecond + duration(agentGrace))
		_ = runner.Terminate()
	}()
	cancelled := make(chan struct{})
	if file := os.Getenv(agentCancelFile); file != "" {
		go cancelOn(file, runner, cancelled)
	}
	if err := runner.Run(context.Background()); err != nil {
		fmt.Println(err)

		return 97
	}
	select {
	case <-cancelled:
		// As in agent/run_job.go, runJob.
		if runner.AnyClientIn(kubernetes.StateNotYetConnected) {
			jobLog.WriteString("One or more containers never connected to the agent.\n")
		}
	default:
	}

	status := runner.WaitStatus().ExitStatus()
	contents, err := json.Marshal(result{Log: jobLog.String(), Status: status})
	if err != nil {
		fmt.Println(err)
	}
	if os.Getenv(agentFinishFails) != "" {
		fmt.Println("2026-01-01 00:00:00 ERROR  Couldn't mark job as finished: 500")
	}
	if err := os.WriteFile(os.Getenv(agentResult), contents, 0o600); err != nil {
		fmt.Println(err)
	}
	if os.Getenv("BUILDKITE_AGENT_REFLECT_EXIT_STATUS") != "" {
		return status
	}

	return 0
}

// cancelOn cancels the job once a file is there, in the words of agent/run_job.go,
// Cancel.
func cancelOn(file string, runner *kubernetes.Runner, cancelled chan<- struct{}) {
	for {
		if _, err := os.Stat(file); err == nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	fmt.Println("2026-01-01 00:00:00 INFO   Canceling job 0190a7f4 with a signal grace period of 9s (cancelled)")
	close(cancelled)
	_ = runner.Interrupt()
	time.Sleep(9 * time.Second)
	_ = runner.Terminate()
}

// duration reads a variable; 0 if it is not set.
func duration(name string) time.Duration {
	value, _ := time.ParseDuration(os.Getenv(name))

	return value
}

func agentBootstrap() int {
	id, _ := strconv.Atoi(os.Getenv("BUILDKITE_CONTAINER_ID"))
	client := &kubernetes.Client{ID: id, SocketPath: kubernetes.SocketPath(os.Getenv("BUILDKITE_JOB_CONTEXT_DIR"))}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if patience := duration(agentPatience); patience > 0 {
		impatient := time.AfterFunc(patience, func() {
			fmt.Println(impatience)
			os.Exit(91)
		})
		defer impatient.Stop()
	}
	registration, err := client.Connect(ctx)
	if err != nil {
		fmt.Println(err)

		return 96
	}
	for _, variable := range registration.Env {
		// The job's environment wins but for these; see clicommand/kubernetes_bootstrap.go.
		name, value, _ := strings.Cut(variable, "=")
		_, own := os.LookupEnv(name)
		if name != "BUILDKITE_COMMAND" && (name != "BUILDKITE_SHELL" || !own) {
			os.Setenv(name, value)
		}
	}
	if err := client.StatusLoop(ctx, func(error) { cancel() }); err != nil {
		fmt.Println(err)

		return 95
	}
	signal.Ignore(syscall.SIGTERM)

	argv := []string{"/bin/sh", "-ec", os.Getenv(agentCheckout)}
	if strings.Contains(os.Getenv("BUILDKITE_BOOTSTRAP_PHASES"), "command") {
		shell, err := shellwords.Split(cmp.Or(os.Getenv("BUILDKITE_SHELL"), "/bin/sh -ec"))
		if err != nil {
			fmt.Println(err)

			return 94
		}
		argv = slices.Concat(shell, []string{os.Getenv("BUILDKITE_COMMAND")})
	}
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Stdout = io.MultiWriter(os.Stdout, client)
	command.Stderr = command.Stdout
	directory, err := filepath.EvalSymlinks(os.Getenv("BUILDKITE_JOB_CONTEXT_DIR"))
	if err != nil {
		fmt.Println(err)

		return 92
	}
	command.Dir = filepath.Dir(directory)
	// As the real agent does, the whole process group goes.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error {
		time.Sleep(duration(agentGrace))

		return syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
	}
	err = command.Run()
	status := command.ProcessState.ExitCode()
	if err != nil && status < 0 {
		status = 1
	}
	_ = client.Exit(status)

	return status
}
