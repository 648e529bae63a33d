# Cargo knows by itself what has changed, so it is always asked.

cat << END                                                    >> $NGX_MAKEFILE

$NGX_OBJS/nginx$ngx_binext $NGX_OBJS/ngx_http_cors_module$ngx_modext: $NGX_OBJS/ngx_http_cors_module/release/libngx_http_cors_module.a

.PHONY: $NGX_OBJS/ngx_http_cors_module/release/libngx_http_cors_module.a
$NGX_OBJS/ngx_http_cors_module/release/libngx_http_cors_module.a:
	source=\$\$(pwd) && builddir=\$\$(cd $NGX_OBJS && pwd) && cd $ngx_addon_dir \\
	&& NGINX_SOURCE_DIR=\$\$source NGINX_BUILD_DIR=\$\$builddir cargo rustc --release --lib --crate-type staticlib \\
		--no-default-features --features nginx-build --target-dir \$\$builddir/ngx_http_cors_module

END
