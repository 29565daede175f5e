package commercestack_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// objects is the cache that the manager has, shared by the tests as one API server is.
var objects cache.Cache

// startCache fills objects until ctx ends.
func startCache(ctx context.Context, config *rest.Config) error {
	scheme, err := controllers.Scheme()
	if err != nil {
		return err
	}
	http, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	mapper, err := apiutil.NewDynamicRESTMapper(config, http)
	if err != nil {
		return err
	}
	options := controllers.CacheOptions(nil)
	options.Scheme, options.HTTPClient, options.Mapper = scheme, http, mapper
	if objects, err = cache.New(config, options); err != nil {
		return err
	}
	go func() { _ = objects.Start(ctx) }()
	if !objects.WaitForCacheSync(ctx) {
		return fmt.Errorf("the cache did not start: %w", ctx.Err())
	}
	return nil
}

// cachedGroups have their kinds in the cache. Others come and go with a test.
var cachedGroups = []string{
	"", "apps", "batch", "autoscaling", "networking.k8s.io", "policy", "apiextensions.k8s.io", "apiregistration.k8s.io", v1alpha1.Group,
}

// form is one of the Go types that an object is read as; each has a cache of its own.
type form int

const (
	typed form = iota
	untyped
	metadata
)

func formOf(o runtime.Object) form {
	switch o.(type) {
	case *unstructured.Unstructured, *unstructured.UnstructuredList:
		return untyped
	case *metav1.PartialObjectMetadata, *metav1.PartialObjectMetadataList:
		return metadata
	}
	return typed
}

// changed are the objects that a world wrote and that its caches may not have seen yet.
type changed struct {
	mu     sync.Mutex
	writes int
	last   map[schema.GroupVersionKind]map[client.ObjectKey]map[form]write
}

// write is one of a world. The version is the one that the server answered with,
// and is empty when it is not known.
type write struct {
	number  int
	version string
}

// add remembers a write by its answer. One that failed may have been done all the same.
func (c *changed) add(kind schema.GroupVersionKind, key client.ObjectKey, version string, failure error) {
	if failure != nil {
		version = ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil {
		c.last = map[schema.GroupVersionKind]map[client.ObjectKey]map[form]write{}
	}
	if c.last[kind] == nil {
		c.last[kind] = map[client.ObjectKey]map[form]write{}
	}
	c.writes++
	w := write{c.writes, version}
	c.last[kind][key] = map[form]write{typed: w, untyped: w, metadata: w}
}

// write is the last one of an object that a form's cache may not have seen, and zero without one.
func (c *changed) write(kind schema.GroupVersionKind, key client.ObjectKey, as form) write {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last[kind][key][as]
}

// seen forgets a write, unless another one followed.
func (c *changed) seen(kind schema.GroupVersionKind, key client.ObjectKey, as form, write write) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last[kind][key][as] == write {
		delete(c.last[kind][key], as)
	}
}

func (c *changed) keys(kind schema.GroupVersionKind) (keys []client.ObjectKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.last[kind] {
		keys = append(keys, key)
	}
	return keys
}

// writer remembers what it wrote.
type writer struct {
	client.WithWatch
	changed *changed
}

// wrote remembers what was written, and passes on what became of it.
func (w writer) wrote(object client.Object, err error) error {
	version := object.GetResourceVersion()
	if kind, unknown := w.GroupVersionKindFor(object); unknown == nil {
		if !kept(kind, object) {
			version = ""
		}
		w.changed.add(kind, client.ObjectKeyFromObject(object), version, err)
	}
	return err
}

func (w writer) Create(ctx context.Context, o client.Object, options ...client.CreateOption) error {
	return w.wrote(o, w.WithWatch.Create(ctx, o, options...))
}

func (w writer) Update(ctx context.Context, o client.Object, options ...client.UpdateOption) error {
	return w.wrote(o, w.WithWatch.Update(ctx, o, options...))
}

func (w writer) Patch(ctx context.Context, o client.Object, p client.Patch, options ...client.PatchOption) error {
	return w.wrote(o, w.WithWatch.Patch(ctx, o, p, options...))
}

func (w writer) Delete(ctx context.Context, o client.Object, options ...client.DeleteOption) error {
	gone := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: o.GetName()}}
	if kind, err := w.GroupVersionKindFor(o); err == nil {
		gone.SetGroupVersionKind(kind)
	}
	return w.wrote(gone, w.WithWatch.Delete(ctx, o, options...))
}

// applied is what every configuration that is applied tells of its object.
type applied interface {
	GetAPIVersion() string
	GetKind() string
	GetName() string
	GetNamespace() string
	GetResourceVersion() string
}

// appliedPointers is the same of those that are made for a kind.
type appliedPointers interface {
	GetAPIVersion() *string
	GetKind() *string
	GetName() *string
	GetNamespace() *string
}

func (w writer) Apply(ctx context.Context, o runtime.ApplyConfiguration, options ...client.ApplyOption) error {
	err := w.WithWatch.Apply(ctx, o, options...)
	switch o := o.(type) {
	case applied:
		w.changed.add(schema.FromAPIVersionAndKind(o.GetAPIVersion(), o.GetKind()),
			client.ObjectKey{Namespace: o.GetNamespace(), Name: o.GetName()}, o.GetResourceVersion(), err)
	case appliedPointers:
		w.changed.add(schema.FromAPIVersionAndKind(*o.GetAPIVersion(), *o.GetKind()), client.ObjectKey{Namespace: *o.GetNamespace(), Name: *o.GetName()}, "", err)
	default:
		return fmt.Errorf("what %T applies is not known", o)
	}
	return err
}

func (w writer) Status() client.SubResourceWriter { return w.SubResource("status") }

func (w writer) SubResource(name string) client.SubResourceClient {
	return partWriter{w.WithWatch.SubResource(name), w}
}

// partWriter remembers whose part it wrote.
type partWriter struct {
	client.SubResourceClient
	writer writer
}

func (w partWriter) Create(ctx context.Context, o, part client.Object, options ...client.SubResourceCreateOption) error {
	err := w.SubResourceClient.Create(ctx, o, part, options...)
	o.SetResourceVersion("") // the answer is the part's, and an eviction deletes
	return w.writer.wrote(o, err)
}

func (w partWriter) Update(ctx context.Context, o client.Object, options ...client.SubResourceUpdateOption) error {
	return w.writer.wrote(o, w.SubResourceClient.Update(ctx, o, options...))
}

func (w partWriter) Patch(ctx context.Context, o client.Object, p client.Patch, options ...client.SubResourcePatchOption) error {
	return w.writer.wrote(o, w.SubResourceClient.Patch(ctx, o, p, options...))
}

// cachedClient reads from the manager's cache, as the operator does, but never
// less than what its world has written: so a test knows what a visit sees.
type cachedClient struct{ writer }

func (c cachedClient) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	kind, err := c.GroupVersionKindFor(o)
	if err != nil {
		return err
	}
	if !slices.Contains(cachedGroups, kind.Group) {
		return c.WithWatch.Get(ctx, key, o, options...)
	}
	if err := c.catchUp(ctx, kind, key, o); err != nil {
		return err
	}
	return objects.Get(ctx, key, o, options...)
}

func (c cachedClient) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	kind, err := c.GroupVersionKindFor(list)
	if err != nil {
		return err
	}
	if !slices.Contains(cachedGroups, kind.Group) {
		return c.WithWatch.List(ctx, list, options...)
	}
	kind.Kind = kind.Kind[:len(kind.Kind)-len("List")]
	for _, key := range c.changed.keys(kind) {
		o, err := c.item(kind, formOf(list))
		if err != nil {
			return err
		}
		if err := c.catchUp(ctx, kind, key, o); err != nil {
			return err
		}
	}
	return objects.List(ctx, list, options...)
}

// item is an empty object of a kind.
func (c cachedClient) item(kind schema.GroupVersionKind, as form) (client.Object, error) {
	var o client.Object
	switch as {
	case untyped:
		o = &unstructured.Unstructured{}
	case metadata:
		o = &metav1.PartialObjectMetadata{}
	case typed:
		made, err := c.Scheme().New(kind)
		if err != nil {
			return nil, err
		}
		item, ok := made.(client.Object)
		if !ok {
			return nil, fmt.Errorf("%s is no object", kind)
		}
		o = item
	}
	o.GetObjectKind().SetGroupVersionKind(kind)
	return o, nil
}

// catchUp waits until the cache of a form has an object as its world wrote it, or
// newer. Only what may never come into the cache is asked of the server: an object
// of which the version is not known, and one that somebody deleted meanwhile.
func (c cachedClient) catchUp(ctx context.Context, kind schema.GroupVersionKind, key client.ObjectKey, like client.Object) error {
	as := formOf(like)
	write := c.changed.write(kind, key, as)
	if write.number == 0 {
		return nil
	}
	end := time.Now().Add(time.Minute)
	for try := 0; time.Now().Before(end); try++ {
		cached, err := c.read(ctx, objects, kind, key, as)
		if err != nil {
			return err
		}
		version := write.version
		if version == "" || try%20 == 19 {
			live, err := c.read(ctx, c.WithWatch, kind, key, as)
			if err != nil {
				return err
			}
			if version = live.GetResourceVersion(); !kept(kind, live) {
				version = ""
			}
		}
		if version == cached.GetResourceVersion() || version != "" && reached(cached.GetResourceVersion(), version) {
			c.changed.seen(kind, key, as, write)
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("the cache does not see %s %s", kind.Kind, key)
}

// reached tells whether one version is another or a later one.
func reached(version, other string) bool {
	order, err := resourceversion.CompareResourceVersion(version, other)
	return err == nil && order >= 0
}

// read returns an empty object where there is none.
func (c cachedClient) read(ctx context.Context, from client.Reader, kind schema.GroupVersionKind, key client.ObjectKey, as form) (client.Object, error) {
	o, err := c.item(kind, as)
	if err != nil {
		return nil, err
	}
	return o, client.IgnoreNotFound(from.Get(ctx, key, o))
}

// kept tells whether an object belongs into the cache.
func kept(kind schema.GroupVersionKind, o client.Object) bool {
	return kind.Group == v1alpha1.Group || kind.Group == "apiextensions.k8s.io" || o.GetLabels()[desired.LabelManagedBy] == desired.ManagedBy
}
