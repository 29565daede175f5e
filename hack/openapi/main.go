// Openapi writes api/openapi/openapi.json, the description of the REST API.
//
// protoc-gen-openapiv3 turns the google.api.http annotations of each proto file
// into a document. This program joins those documents and adds what the plugin
// does not know: the limits of protovalidate, who may call (commerce.access.v1),
// the error body of the REST contract, and the headers that every answer has.
//
//	go run ./hack/openapi -fragments DIR -image FILE -out api/openapi/openapi.json
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// object is a JSON object of an OpenAPI document.
type object = map[string]any

func main() {
	fragments := flag.String("fragments", "", "folder of the plugin's *.openapi.json files")
	image := flag.String("image", "", "file with the protos' descriptors (buf build -o FILE)")
	out := flag.String("out", "", "file to write")
	flag.Parse()
	if err := run(*fragments, *image, *out); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

func run(fragments, image, out string) error {
	files, err := readImage(image)
	if err != nil {
		return err
	}
	doc, err := merge(fragments)
	if err != nil {
		return err
	}
	if err := enrich(doc, files); err != nil {
		return err
	}
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(doc); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if old, err := os.ReadFile(out); err == nil && bytes.Equal(old, buf.Bytes()) {
		return nil
	}
	if err := os.WriteFile(out, buf.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	fmt.Println("generated", out)
	return nil
}

// readImage returns the linked descriptors. Options are decoded with the
// extension types compiled into this program, so that rules arrive typed.
func readImage(name string) (*protoregistry.Files, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read image: %w", err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(raw, set); err != nil {
		return nil, fmt.Errorf("decode image: %w", err)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("link image: %w", err)
	}
	return files, nil
}

// merge joins the documents under dir into one. Two files that claim the same
// route or give one name to different schemas are an error in the protos.
func merge(dir string) (object, error) {
	paths, schemas, tags := object{}, object{}, []any{}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".openapi.json") {
			return err
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read fragment: %w", err)
		}
		var fragment struct {
			Paths      map[string]object `json:"paths"`
			Tags       []any             `json:"tags"`
			Components struct {
				Schemas object `json:"schemas"`
			} `json:"components"`
		}
		if err := json.Unmarshal(raw, &fragment); err != nil {
			return fmt.Errorf("decode %s: %w", name, err)
		}
		for route, methods := range fragment.Paths {
			target, _ := paths[route].(object)
			if target == nil {
				target = object{}
				paths[route] = target
			}
			for verb, operation := range methods {
				if _, taken := target[verb]; taken {
					return fmt.Errorf("%s: %s %s is claimed twice", name, verb, route)
				}
				target[verb] = operation
			}
		}
		maps.Copy(schemas, fragment.Components.Schemas)
		tags = append(tags, fragment.Tags...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("merge: %w", err)
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title":       "CommerceStack",
			"version":     "v1",
			"description": "The REST API of the platform. Every route is also a method of a Connect, gRPC and gRPC-Web service.",
		},
		"paths":      paths,
		"tags":       tags,
		"components": object{"schemas": schemas},
	}, nil
}
