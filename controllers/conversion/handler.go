package conversion

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	numbers "k8s.io/apimachinery/pkg/util/json"

	"github.com/commercestack/commercestack/api/v1beta1"
)

// Path of the webhook.
const Path = "/convert"

// maxBody bounds what one request takes of memory: some two thousand stacks.
const maxBody = 32 << 20

// handler answers reviews.
type handler struct{ logger *slog.Logger }

// ServeHTTP implements http.Handler.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	review := &apiextensionsv1.ConversionReview{}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(review)
	if err != nil || review.Request == nil {
		http.Error(w, "the body must be a ConversionReview with a request", http.StatusBadRequest)
		return
	}
	review.Response = &apiextensionsv1.ConversionResponse{UID: review.Request.UID, Result: metav1.Status{Status: metav1.StatusSuccess}}
	if review.Response.ConvertedObjects, err = convert(review.Request); err != nil {
		h.logger.ErrorContext(r.Context(), "a stack cannot be converted", slog.Any("cause", err), slog.String("version", review.Request.DesiredAPIVersion))
		review.Response.Result = metav1.Status{Status: metav1.StatusFailure, Message: err.Error()}
	}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(review); err != nil {
		h.logger.WarnContext(r.Context(), "a conversion was not answered", slog.Any("cause", err))
	}
}

// convert converts every object, or none.
func convert(request *apiextensionsv1.ConversionRequest) ([]runtime.RawExtension, error) {
	converted := make([]runtime.RawExtension, 0, len(request.Objects))
	for i := range request.Objects {
		var object map[string]any
		// The usual package would read every number as a float.
		if err := numbers.Unmarshal(request.Objects[i].Raw, &object); err != nil {
			return nil, fmt.Errorf("object %d is no JSON object", i)
		}
		if err := v1beta1.Convert(object, request.DesiredAPIVersion); err != nil {
			return nil, fmt.Errorf("object %d: %w", i, err)
		}
		raw, err := json.Marshal(object)
		if err != nil {
			return nil, fmt.Errorf("object %d: %w", i, err)
		}
		converted = append(converted, runtime.RawExtension{Raw: raw})
	}
	return converted, nil
}
