package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const completionUsage = `Print a script that makes a shell complete this program's commands and options.

Usage: agent-stack-k8s completion bash|zsh|fish|powershell

Examples:
  source <(agent-stack-k8s completion bash)
  agent-stack-k8s completion zsh > "${fpath[1]}/_agent-stack-k8s"
  agent-stack-k8s completion fish > ~/.config/fish/completions/agent-stack-k8s.fish

Exit status: 0; 2 if the command line is wrong.
`

// completionMain is the completion subcommand.
func completionMain(arguments []string, _ string, _ io.Reader, stdout, stderr io.Writer) int {
	if len(arguments) == 1 && (arguments[0] == "--help" || arguments[0] == "-h") {
		fmt.Fprint(stdout, completionUsage)

		return 0
	}
	if len(arguments) != 1 {
		fmt.Fprintf(stderr, "agent-stack-k8s completion: name one shell: bash, zsh, fish or powershell\n")

		return statusTrouble
	}
	root := completionTree(stdout, stderr)
	var err error
	switch arguments[0] {
	case "bash":
		err = root.GenBashCompletionV2(stdout, true)
	case "zsh":
		err = root.GenZshCompletion(stdout)
	case "fish":
		err = root.GenFishCompletion(stdout, true)
	case "powershell":
		err = root.GenPowerShellCompletionWithDesc(stdout)
	default:
		err = fmt.Errorf("%q is none of bash, zsh, fish, powershell", arguments[0])
	}
	if err != nil {
		fmt.Fprintf(stderr, "agent-stack-k8s completion: %v\n", err)

		return statusTrouble
	}

	return 0
}

// complete answers the script's questions: it is the hidden command that the
// script runs at every press of the key.
func complete(arguments []string, stdout, stderr io.Writer) int {
	root := completionTree(stdout, stderr)
	root.SetArgs(arguments)
	if err := root.Execute(); err != nil {
		return statusTrouble
	}

	return 0
}

// completionTree describes the commands to the library that completes them. They
// are not run by it.
func completionTree(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{Use: "agent-stack-k8s", SilenceUsage: true, SilenceErrors: true}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{Use: "help", Hidden: true})
	root.SetOut(stdout)
	root.SetErr(stderr)
	for _, command := range allCommands() {
		each := &cobra.Command{Use: command.name, Short: command.summary, Run: func(*cobra.Command, []string) {}}
		if words := arguments[command.name]; words != nil {
			each.ValidArgs = words
			each.ValidArgsFunction = cobra.FixedCompletions(each.ValidArgs, cobra.ShellCompDirectiveNoFileComp)
		}
		if command.flags != nil {
			flags := command.flags()
			each.Flags().AddFlagSet(flags)
			flags.VisitAll(func(flag *pflag.Flag) { completeValue(each, flag) })
		}
		root.AddCommand(each)
	}

	return root
}

// arguments are what commands take beside options.
var arguments = map[string][]string{
	"completion": {"bash", "zsh", "fish", "powershell"},
	"schema":     {"pipeline", "step", "plugin"},
}

// values are what options of a name may be.
var values = map[string]map[string][]string{
	"color":  {"": {"auto", "always", "never"}},
	"output": {"render": {"yaml", "json", "diff"}, "lint": {"text", "json", "github"}, "": {"text", "json"}},
}

func completeValue(command *cobra.Command, flag *pflag.Flag) {
	choices := values[flag.Name][command.Name()]
	if choices == nil {
		choices = values[flag.Name][""]
	}
	if choices == nil {
		return
	}
	if err := command.RegisterFlagCompletionFunc(flag.Name, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic("complete an option: " + err.Error())
	}
}
