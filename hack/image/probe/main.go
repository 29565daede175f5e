// Command probe is what the cluster's check runs in its pods: it serves, dials,
// resolves names, writes files and keeps a core busy.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 {
		switch args[0] {
		case "serve":
			return serve(args[1])
		case "dial":
			return dial(args[1])
		case "lookup":
			return lookup(args[1])
		case "write":
			return write(args[1])
		case "read":
			return read(args[1])
		}
	}
	return fmt.Errorf("usage: probe serve|dial ADDRESS, lookup NAME, write|read FILE; got %q", args)
}

// serve answers each request with the name of its pod; /burn keeps a core busy for
// a moment, which is what an autoscaler is to see.
func serve(address string) error {
	host, _ := os.Hostname()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, host) })
	mux.HandleFunc("/burn", func(w http.ResponseWriter, _ *http.Request) {
		for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
			_ = fmt.Sprint(end)
		}
		fmt.Fprintln(w, "burnt")
	})
	fmt.Println("serving", address)
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return server.ListenAndServe()
}

// dial asks a server for its answer, and waits two seconds at most: a network
// policy drops what it denies.
func dial(address string) error {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + address)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}

func lookup(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	fmt.Println(addresses)
	return nil
}

func write(file string) error {
	return os.WriteFile(file, []byte("kept\n"), 0o600)
}

func read(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(data)
	return err
}
