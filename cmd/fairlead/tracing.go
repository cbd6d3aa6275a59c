package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"

	"github.com/fairlead-auth/fairlead/internal/version"
)

// flushTimeout bounds the wait for the last spans.
const flushTimeout = 5 * time.Second

// tracing reports whether the standard OTEL variables configure a collector. Without one there are no traces.
func tracing() bool {
	if os.Getenv("OTEL_SDK_DISABLED") == "true" || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// traced wraps the router so that each request is a span, a child of the caller's span (W3C Trace Context). The
// standard OTEL variables configure the destination. The protocol is OTLP over HTTP.
func traced(ctx context.Context, next http.Handler) (handler http.Handler, stop func() error, err error) {
	if !tracing() {
		return next, func() error { return nil }, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("starting tracing: %w", err)
	}
	about, err := resource.New(ctx, resource.WithFromEnv(), resource.WithTelemetrySDK(), resource.WithAttributes(
		semconv.ServiceName("fairlead"), semconv.ServiceVersion(version.String())))
	if err != nil {
		return nil, nil, fmt.Errorf("starting tracing: %w", err)
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(about))
	stop = func() error { //nolint:contextcheck // it runs after the program's context has ended
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		return provider.Shutdown(ctx)
	}
	// The middleware names the span after the route and leaves out queries, which can hold codes.
	return otelhttp.NewHandler(next, "request", otelhttp.WithTracerProvider(provider), otelhttp.WithPropagators(propagation.TraceContext{})), stop, nil
}
