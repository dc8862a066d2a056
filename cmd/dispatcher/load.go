package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/pflag"
)

// layer is where a value comes from; the higher one wins.
type layer int

const (
	layerFile layer = iota + 1
	layerEnvironment
	layerFlag
)

// given is a value before it is understood.
type given struct {
	text string
	// origin names the place for error messages.
	origin string
	layer  layer
}

var errHelp = errors.New("help wanted")

// load reads flags, environment and file, and reports everything that is wrong
// with them at once.
func load(arguments []string, lookupEnv func(string) (string, bool)) (options, error) {
	values, err := readFlags(arguments)
	if err != nil {
		return options{}, err
	}
	var problems []error
	overlay(values, readEnvironment(lookupEnv))
	if file, isSet := values["config"]; isSet {
		fromFile, err := readFile(file.text)
		overlay(values, fromFile)
		problems = append(problems, err)
	}
	ignored, err := migrate(values)
	problems = append(problems, err)
	result, err := assign(values)
	problems = append(problems, err)
	result.ignored = ignored
	if result.version {
		return result, nil
	}
	problems = append(problems, validate(&result))
	return result, errors.Join(problems...)
}

// overlay adds values of a lower layer where there are none.
func overlay(values, lower map[string]given) {
	for name, value := range lower {
		if _, isSet := values[name]; !isSet {
			values[name] = value
		}
	}
}

// rawFlag keeps a flag's text, so that bad values of flags, environment and
// file are all reported in the same way.
type rawFlag struct {
	texts []string
}

func (f *rawFlag) String() string        { return strings.Join(f.texts, ",") }
func (f *rawFlag) Set(text string) error { f.texts = append(f.texts, text); return nil }
func (f *rawFlag) Type() string          { return "text" }

// joined returns all texts of a list, and the last of anything else.
func (f *rawFlag) joined(list bool) string {
	if list {
		return f.String()
	}
	return f.texts[len(f.texts)-1]
}

func readFlags(arguments []string) (map[string]given, error) {
	flags := pflag.NewFlagSet("dispatcher", pflag.ContinueOnError)
	flags.Usage = func() {}
	flags.SortFlags = false
	raw := map[string]*rawFlag{}
	define := func(name, shorthand string, isSwitch bool) {
		raw[name] = &rawFlag{}
		flag := flags.VarPF(raw[name], name, shorthand, "")
		if isSwitch {
			flag.NoOptDefVal = "true"
		}
	}
	for _, option := range allOptions() {
		if !option.fileOnly {
			define(option.name, option.shorthand, option.kind == "")
		}
	}
	for _, former := range formerOptions() {
		if !former.FileOnly {
			define(former.Name, "", former.Switch)
		}
	}
	if err := flags.Parse(arguments); err != nil {
		return nil, explainFlagError(err)
	}
	if flags.NArg() > 0 {
		// It is not shown: it may be a token that slipped out of its option.
		return nil, errors.New("an argument is no option: options start with --")
	}
	values := map[string]given{}
	for name, value := range raw {
		if len(value.texts) > 0 {
			values[name] = given{text: value.joined(name == "tags"), origin: "--" + name, layer: layerFlag}
		}
	}
	return values, nil
}

// explainFlagError adds what was probably meant.
func explainFlagError(err error) error {
	var unknown *pflag.NotExistError
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return errHelp
	case errors.As(err, &unknown):
		return fmt.Errorf("--%s: no such option%s", unknown.GetSpecifiedName(), didYouMean(unknown.GetSpecifiedName(), "--"))
	default:
		return err
	}
}

// readEnvironment takes the options' variables. An empty one counts as not set,
// as in manifests that leave a value open.
func readEnvironment(lookupEnv func(string) (string, bool)) map[string]given {
	values := map[string]given{}
	for _, option := range allOptions() {
		if option.env() == "" {
			continue
		}
		if text, isSet := lookupEnv(option.env()); isSet && text != "" {
			values[option.name] = given{text: text, origin: "$" + option.env(), layer: layerEnvironment}
		}
	}
	for _, former := range formerOptions() {
		if former.FileOnly {
			continue
		}
		if text, isSet := lookupEnv(former.Variable()); isSet && text != "" {
			values[former.Name] = given{text: text, origin: "$" + former.Variable(), layer: layerEnvironment}
		}
	}
	return values
}

// assign understands the values, and the defaults of options without one.
func assign(values map[string]given) (options, error) {
	result := options{layers: map[string]layer{}}
	var problems []error
	for _, option := range allOptions() {
		value, isSet := values[option.name]
		switch {
		case isSet:
			result.layers[option.name] = value.layer
			if err := option.set(&result, value.text); err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", value.origin, err))
			}
		case option.standard != "":
			if err := option.set(&result, option.standard); err != nil {
				problems = append(problems, fmt.Errorf("default of --%s: %w", option.name, err))
			}
		}
	}
	return result, errors.Join(problems...)
}

func allOptions() []option {
	var all []option
	for _, group := range groups() {
		all = append(all, group.options...)
	}
	return all
}

// didYouMean returns a hint at the option whose name is nearest, or "".
func didYouMean(name, prefix string) string {
	nearest, distance := "", len(name)/2+1
	for _, option := range allOptions() {
		if d := levenshtein.ComputeDistance(name, option.name); d < distance {
			nearest, distance = option.name, d
		}
	}
	if nearest == "" {
		return ""
	}
	return "; did you mean " + prefix + nearest + "?"
}

// indent puts each problem on a line of its own.
func indent(err error) string {
	return "  " + strings.ReplaceAll(err.Error(), "\n", "\n  ")
}
