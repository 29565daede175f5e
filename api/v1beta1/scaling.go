package v1beta1

import (
	"maps"
	"reflect"

	"k8s.io/apimachinery/pkg/util/json"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// AnnotationScaling keeps what a stack of v1alpha1 says of pods and this version
// cannot: the limits of an autoscaling that is off, and that the number of pods is
// left to the environment. It is written and read by the conversion, and is never
// stored.
const AnnotationScaling = Group + "/v1alpha1-scaling"

// In v1alpha1 a number of pods needs an autoscaling that is off; here it stands
// alone, and who has an autoscaling has no number. So an autoscaling that is off
// becomes the number of pods that it means, and what it said besides is kept in
// the annotation. On the way back it is taken from there if it still means what
// the stack says now, and only if it is off: nobody can bring in by an annotation
// what decides anything.

// The fields that say how many pods there are.
const (
	fieldReplicas    = "replicas"
	fieldAutoscaling = "autoscaling"
	fieldMode        = "mode"
	fieldWorkers     = "workers"
)

// The numbers of pods where autoscaling is off and none is given.
const (
	replicasDefault     int64 = 2
	replicasDevelopment int64 = 1
)

// bounds of what an autoscaling that is off may say, as in its schema.
var bounds = map[string][2]int64{
	"minReplicas": {1, 100}, "maxReplicas": {1, 100}, "targetCPUUtilization": {50, 70}, "scaleDownStabilizationSeconds": {0, 3600},
}

// showScaling gives an object of v1alpha1 the scaling of v1beta1.
func showScaling(object map[string]any) {
	kept := map[string]any{}
	for key, pods := range scaled(object) {
		if before := original(pods); !show(before, pods, object) {
			kept[key] = before
		}
	}
	annotate(object, kept)
}

// hideScaling gives an object the scaling of v1alpha1.
func hideScaling(object map[string]any) {
	kept := annotated(object)
	annotate(object, nil)
	for key, pods := range scaled(object) {
		shown, fixed := pods[fieldReplicas]
		autoscaling, varied := pods[fieldAutoscaling].(map[string]any)
		switch before, ok := kept[key].(map[string]any); {
		case ok && !varied && harmless(before) && reflect.DeepEqual(shown, number(before, object)):
			delete(pods, fieldReplicas)
			maps.Copy(pods, original(before))
		case varied:
			autoscaling[fieldMode] = string(v1alpha1.AutoscalingHPA)
		case fixed:
			pods[fieldAutoscaling] = map[string]any{fieldMode: string(v1alpha1.AutoscalingOff)}
		}
	}
}

// scaled are the mappings of an object of v1alpha1 that say how many pods there
// are, by component, and those of workers by component and /workers.
func scaled(object map[string]any) map[string]map[string]any {
	found := map[string]map[string]any{}
	for _, component := range find(object, path{"spec", "services"}) {
		name, _ := component["name"].(string)
		found[name] = component
		if workers, ok := component[fieldWorkers].(map[string]any); ok {
			found[name+"/"+fieldWorkers] = workers
		}
	}
	return found
}

// original is what v1alpha1 says of the number of pods, and nothing else.
func original(pods map[string]any) map[string]any {
	before := map[string]any{}
	for _, field := range []string{fieldReplicas, fieldAutoscaling} {
		if content, ok := pods[field]; ok {
			before[field] = content
		}
	}
	return before
}

// show makes the number of pods of v1beta1 from what v1alpha1 says, and tells
// whether that says it all.
func show(before, pods, object map[string]any) bool {
	autoscaling, ok := before[fieldAutoscaling].(map[string]any)
	if !ok {
		return true
	}
	if autoscaling[fieldMode] != string(v1alpha1.AutoscalingOff) {
		delete(autoscaling, fieldMode)
		return true
	}
	delete(pods, fieldAutoscaling)
	pods[fieldReplicas] = number(before, object)
	_, given := before[fieldReplicas]
	return given && len(autoscaling) == 1
}

// number of pods that v1alpha1 means where autoscaling is off.
func number(before, object map[string]any) any {
	if given, ok := before[fieldReplicas]; ok {
		return given
	}
	spec, _ := object["spec"].(map[string]any)
	if spec["environment"] == string(EnvironmentDevelopment) {
		return replicasDevelopment
	}
	return replicasDefault
}

// harmless says whether what was kept is an autoscaling that is off, within its
// bounds. Whoever may change a stack may change its annotations.
func harmless(before map[string]any) bool {
	autoscaling, ok := before[fieldAutoscaling].(map[string]any)
	if !ok || autoscaling[fieldMode] != string(v1alpha1.AutoscalingOff) {
		return false
	}
	for field, content := range autoscaling {
		if field == fieldMode {
			continue
		}
		count, isNumber := content.(int64)
		bound, known := bounds[field]
		if !isNumber || !known || count < bound[0] || count > bound[1] {
			return false
		}
	}
	low, hasLow := autoscaling["minReplicas"].(int64)
	high, hasHigh := autoscaling["maxReplicas"].(int64)
	return !hasLow || !hasHigh || low <= high
}

// annotated reads the annotation. One that cannot be read says nothing.
func annotated(object map[string]any) map[string]any {
	annotations := find(object, path{"metadata", "annotations"})
	if len(annotations) == 0 {
		return nil
	}
	text, _ := annotations[0][AnnotationScaling].(string)
	kept := map[string]any{}
	if json.Unmarshal([]byte(text), &kept) != nil {
		return nil
	}
	return kept
}

// annotate writes the annotation, or takes it away.
func annotate(object, kept map[string]any) {
	metadata, ok := object["metadata"].(map[string]any)
	if !ok {
		metadata = map[string]any{}
	}
	annotations, ok := metadata["annotations"].(map[string]any)
	if !ok {
		annotations = map[string]any{}
	}
	text, err := json.Marshal(kept)
	if len(kept) > 0 && err == nil {
		annotations[AnnotationScaling] = string(text)
	} else {
		delete(annotations, AnnotationScaling)
	}
	if len(annotations) > 0 {
		metadata["annotations"], object["metadata"] = annotations, metadata
	} else {
		delete(metadata, "annotations")
	}
}
