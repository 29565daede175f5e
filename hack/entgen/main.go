// Entgen generates the Ent client of each component from ent/<component>/schema.
//
// One graph a component: a component cannot name another component's tables,
// because no Go type for them exists in its graph.
//
//	go run ./hack/entgen            # every component
//	go run ./hack/entgen order auth # some
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
)

const module = "github.com/commercestack/commercestack"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "entgen:", err)
		os.Exit(1)
	}
}

func run(components []string) error {
	if len(components) == 0 {
		schemas, err := filepath.Glob("ent/*/schema")
		if err != nil {
			return fmt.Errorf("find schemas: %w", err)
		}
		for _, schema := range schemas {
			components = append(components, filepath.Base(filepath.Dir(schema)))
		}
	}
	for _, component := range components {
		if err := generate(component); err != nil {
			return fmt.Errorf("%s: %w", component, err)
		}
	}
	return nil
}

func generate(component string) error {
	root := filepath.Join("ent", component)
	files, err := filepath.Glob(filepath.Join(root, "schema", "*.go"))
	if err != nil {
		return fmt.Errorf("find schema files: %w", err)
	}
	if len(files) == 0 {
		return fmt.Errorf("no schema in %s", filepath.Join(root, "schema"))
	}
	config := &gen.Config{
		Target:  root,
		Package: module + "/" + filepath.ToSlash(root),
		Features: []gen.Feature{
			gen.FeatureUpsert,
			gen.FeatureLock,
			gen.FeatureExecQuery,
			gen.FeatureVersionedMigration,
		},
	}
	// The leading "./" makes it a package of this module rather than one of the standard library.
	if err := entc.Generate("./"+filepath.ToSlash(filepath.Join(root, "schema")), config); err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	fmt.Println("generated", root)
	return nil
}
