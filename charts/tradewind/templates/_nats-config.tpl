{{/* nats.conf. Its digest is an annotation of the pod, so a changed file restarts the server. */}}
{{- define "tradewind.natsConfig" -}}
server_name: $POD_NAME
listen: "0.0.0.0:4222"
# Health for the kubelet; the network policy keeps everyone else out.
http: "0.0.0.0:8222"
# Only processes with a certificate of the operator's authority are let in.
tls {
  cert_file: /etc/tradewind/tls/tls.crt
  key_file: /etc/tradewind/tls/tls.key
  ca_file: /etc/tradewind/tls/ca.crt
  verify: true
  timeout: 5
}
jetstream {
  store_dir: /data
  max_file_store: {{ .Values.nats.jetstream.maxFileStore }}
  max_memory_store: {{ .Values.nats.jetstream.maxMemoryStore }}
  sync_interval: {{ .Values.nats.jetstream.syncInterval }}
}
max_payload: 64KB
write_deadline: 5s
{{- end -}}
