// Command hello is a program for images that hold nothing else. It shows how it
// was started, and on request waits, answers over HTTP or fails.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	file := flag.String("file", "", "print this file's content")
	environment := flag.String("env", "", "print the variables whose names begin so")
	sleep := flag.Duration("sleep", 0, "wait so long before ending")
	listen := flag.String("listen", "", "serve HTTP on this address, such as :8080, and never end")
	status := flag.Int("exit", 0, "end with this status, 0-255")
	flag.Parse()
	if err := describe(*file, *environment); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if *listen != "" {
		fmt.Fprintln(os.Stderr, serve(*listen))
		os.Exit(1)
	}
	time.Sleep(*sleep)
	os.Exit(*status)
}

// describe prints the arguments, the working directory, the user, variables and a file.
func describe(file, prefix string) error {
	fmt.Printf("arguments: %q\n", os.Args)
	directory, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the working directory: %w", err)
	}
	fmt.Printf("directory: %s\nuser: %d:%d\n", directory, os.Getuid(), os.Getgid())
	if prefix != "" {
		variables := os.Environ()
		slices.Sort(variables)
		for _, variable := range variables {
			if strings.HasPrefix(variable, prefix) {
				fmt.Println(variable)
			}
		}
	}
	if file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read the file: %w", err)
		}
		fmt.Printf("%s: %s\n", file, content)
	}
	return nil
}

// serve answers every request with its method and path.
func serve(address string) error {
	server := &http.Server{
		Addr:              address,
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "hello: %s %s\n", r.Method, r.URL.Path)
		}),
	}
	fmt.Println("listening on " + address)
	return fmt.Errorf("serve: %w", server.ListenAndServe())
}
