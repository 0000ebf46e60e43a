@USER@
daemon off;
master_process on;
worker_processes 1;
pid @DIR@/nginx.pid;
error_log @DIR@/error.log crit;
worker_rlimit_nofile 16384;
events { worker_connections 8192; }
http {
  access_log off;
  client_body_temp_path @DIR@/body;
  proxy_temp_path @DIR@/proxy;
  fastcgi_temp_path @DIR@/fastcgi;
  uwsgi_temp_path @DIR@/uwsgi;
  scgi_temp_path @DIR@/scgi;
  client_max_body_size 16m;
  client_body_buffer_size 2m;
  keepalive_requests 10000000;
  tcp_nodelay on;
  upstream mock {
    server 127.0.0.1:@UPSTREAM@;
    keepalive 2048;
    keepalive_requests 10000000;
  }
  server {
    listen 127.0.0.1:@PORT@;
    location / {
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering on;
    }
  }
}
